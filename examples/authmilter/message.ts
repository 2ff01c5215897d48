/** One message, from MAIL to its end: what its steps hand over, and what comes of it. */
import type { ArcSealing } from 'tsmilter/arc';
import { formatAuthRes } from 'tsmilter/authres';
import { type Decision, decide } from './decision';
import { type Envelope, type Findings, Incoming } from './incoming';
import { type Header, Outgoing, type Unsigned } from './outgoing';
import { Recipients } from './recipients';
import { resultsOf } from './results';
import { Sealing } from './sealing';
import type { Settings } from './settings';
import { signs, type Task, verifies } from './task';

/** What the filter does at the end of a message. */
export interface Outcome {
  readonly decision: Decision;
  /** Null if the message was not verified. */
  readonly findings: Findings | null;
  /** The value of our field, or null if the message was not verified. */
  readonly authenticationResults: string | null;
  /** Seal and signatures, from the top. */
  readonly signatures: Header;
  /** What the log says besides. */
  readonly notes: readonly string[];
}

const NOT_VERIFIED: Decision = { action: 'accept', reason: 'not verified' };

export class Message {
  readonly settings: Settings;
  readonly task: Task;
  readonly sender: string;
  readonly recipients: Recipients;
  readonly #id: string;
  readonly #utf8: boolean;
  readonly #abort = new AbortController();
  readonly #incoming: Incoming | null;
  readonly #header: [name: string, value: string][] = [];
  #outgoing: Outgoing | Unsigned | null = null;
  #sealing: Sealing | null = null;

  /** @param id our authserv-id, which is also the name of this host */
  constructor(envelope: Envelope, task: Task, id: string, settings: Settings) {
    this.#utf8 = envelope.utf8;
    this.settings = settings;
    this.task = task;
    this.sender = envelope.sender;
    this.recipients = new Recipients(settings.forwarding);
    this.#id = id;
    const { signal } = this.#abort;
    this.#incoming = verifies(task) ? new Incoming(envelope, id, settings, signal) : null;
  }

  header(name: string, value: string): void {
    this.#header.push([name, value]);
    this.#incoming?.header(name, value);
  }

  eoh(): void {
    this.#incoming?.eoh();
    if (this.#incoming) this.#sealing = Sealing.begin(this.settings, this.recipients.forwarded, this.#utf8);
    if (signs(this.task)) this.#outgoing = Outgoing.begin(this.#header, this.sender, this.settings);
  }

  body(chunk: Buffer): void {
    this.#incoming?.body(chunk);
    this.#sealing?.body(chunk);
    if (this.#outgoing instanceof Outgoing) this.#outgoing.body(chunk);
  }

  /** The values of a header field, in its order. */
  values(name: string): string[] {
    return this.#header
      .filter(([found]) => found.toLowerCase() === name.toLowerCase())
      .map(([, value]) => value);
  }

  async end(): Promise<Outcome> {
    const findings = await this.#incoming?.findings();
    const authRes = { id: this.#id, results: findings ? resultsOf(findings) : [] };
    const decision = findings ? decide(findings, this.settings) : NOT_VERIFIED;
    const outgoing = this.#outgoing;
    const signatures = outgoing instanceof Outgoing ? await outgoing.signatures() : [];
    const sealing =
      findings && (await this.#sealing?.seal([...signatures, ...this.#header], findings, authRes));
    return {
      decision,
      findings: findings ?? null,
      authenticationResults: findings ? formatAuthRes(authRes, { utf8: this.#utf8 }) : null,
      signatures: [...(sealing?.fields.toReversed() ?? []), ...signatures],
      notes: [
        ...authRes.results.map((result) =>
          formatAuthRes({ id: 'x', results: [result] }).replace(/^x;\s*/, ''),
        ),
        ...(outgoing === null ? [] : [noteOf(outgoing)]),
        ...(sealing ? [sealingNote(sealing)] : []),
      ],
    };
  }

  /** Ends lookups whose answers are not needed any more. */
  abandon(): void {
    this.#abort.abort();
  }
}

function noteOf(outgoing: Outgoing | Unsigned): string {
  return outgoing instanceof Outgoing
    ? `signed with ${outgoing.keyNames.join(' and ')}`
    : `not signed: ${outgoing.reason}`;
}

function sealingNote({ instance, chainStatus, reason }: ArcSealing): string {
  return instance === undefined ? `not sealed: ${reason}` : `sealed i=${instance} cv=${chainStatus}`;
}
