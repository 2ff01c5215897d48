/** One SMTP session: its client, its message, and the rules that are asked about them. */
import type { DnsSession } from 'tsmilter/dns';
import type { EnvelopeAddress, Transaction } from 'tsmilter/message';
import { resolverFor } from '../shared/dns';
import { type Authentication, authenticate } from './authentication';
import { type Client, classify } from './client';
import type { Config } from './config';
import type { MessageFacts, SessionFacts } from './facts';
import { Inspection } from './inspection';
import { mark, removeForged } from './marks';
import type { Outcome } from './rule';
import { shown } from './shown';
import { type Judged, refuses, worstOf } from './verdict';

export type Write = (tag: string, ...words: readonly string[]) => void;

/** The message that the client is sending. */
interface Current {
  readonly facts: MessageFacts;
  readonly abort: AbortController;
  /** What recipients were refused for, once for each rule. */
  readonly refused: Judged[];
  /** Whether the message has arrived as a whole. */
  whole: boolean;
}

/** What does not wait for the end of the message. */
const isNow = ({ finding }: Judged): boolean => finding.late !== true;

export class Session {
  readonly #config: Config;
  readonly #client: Client;
  readonly #host: string;
  readonly #abort: AbortController;
  readonly #dns: DnsSession;
  readonly #inspection: Inspection;
  readonly #write: Write;
  #helo: string | null = null;
  #current: Current | null = null;

  private constructor(
    config: Config,
    client: Client,
    host: string,
    abort: AbortController,
    dns: DnsSession,
    write: Write,
  ) {
    this.#config = config;
    this.#client = client;
    this.#host = host;
    this.#abort = abort;
    this.#dns = dns;
    this.#inspection = new Inspection(config.rules, write);
    this.#write = write;
  }

  /** @param host the name of this host */
  static async begin(
    config: Config,
    client: Omit<Client, 'class' | 'ptr'>,
    host: string,
    write: Write,
  ): Promise<Session> {
    const abort = new AbortController();
    const dns = resolverFor(config.dns, abort.signal);
    const known = await classify(client, config.clients, dns);
    const session = new Session(config, known, host, abort, dns, write);
    write('CONNECT', `from ${shown(client.hostname)} at ${client.address ?? 'no address'}:`, known.class);
    await session.#inspection.connect(session.#facts());
    return session;
  }

  async hello(name: string | null): Promise<void> {
    this.#helo = name;
    this.#inspection.beginHello();
    await this.#inspection.hello(this.#facts());
  }

  async mail(message: Transaction): Promise<void> {
    // Whoever has not said HELO has it judged now.
    if (this.#helo === null) await this.hello(null);
    this.#inspection.beginMessage();
    const abort = new AbortController();
    this.#current = { facts: this.#messageFacts(message, abort.signal), abort, refused: [], whole: false };
    await this.#inspection.message('mail', this.#current.facts);
  }

  /** What the recipient is refused for, or null. */
  async rcpt(recipient: EnvelopeAddress): Promise<Judged | null> {
    const { facts, refused } = this.#message();
    const isRefused = refuses(worstOf(this.#inspection.found(facts).filter(isNow)));
    const found = await this.#inspection.ask('rcpt', { ...facts, recipient }, isRefused);
    const all = () => [...this.#inspection.found(facts), ...found];
    // Others are asked about nothing that is refused, now or at the end.
    if (!refuses(worstOf(all()))) await this.#inspection.askOthers('rcpt');
    const worst = worstOf(all().filter(isNow));
    if (!refuses(worst)) {
      this.#inspection.keep(found);
      return null;
    }
    for (const judged of all().filter(isNow))
      if (refuses(judged) && !refused.some(({ rule }) => rule === judged.rule)) refused.push(judged);
    return worst;
  }

  /** What the message is refused for when its header is known, or null. */
  async headers(): Promise<Judged | null> {
    const { facts } = this.#message();
    await this.#inspection.message('headers', facts);
    const worst = worstOf(this.#inspection.found(facts).filter(isNow));
    return refuses(worst) ? worst : null;
  }

  /** The same when all is known. Otherwise the message has been marked as the rules ask for. */
  async end(): Promise<Judged | null> {
    const current = this.#message();
    const { facts } = current;
    current.whole = true;
    for (const step of ['body', 'content', 'end'] as const) {
      await this.#inspection.message(step, facts);
      const refusal = this.#refusal();
      if (refusal !== null) return refusal;
    }
    await this.#inspection.askOthers('end');
    const refusal = this.#refusal();
    if (refusal === null) await this.#mark(facts);
    return refusal;
  }

  /** The message has ended; the second call for it does nothing. */
  async finish(action: Outcome['action'], error?: unknown): Promise<void> {
    const current = this.#current;
    if (current === null) return;
    this.#current = null;
    const { facts, abort, refused, whole } = current;
    const isRefused = action === 'abandoned' && facts.message.recipients.length === 0 && refused.length > 0;
    const became = isRefused && worstOf(refused)?.mode === 'reject' ? 'reject' : isRefused ? 'defer' : action;
    const found = [...new Set([...this.#inspection.found(facts), ...refused])];
    await this.#inspection.after(facts, became, found, { whole, error });
    abort.abort();
  }

  /** What the message as a whole ends with if nothing refuses it. */
  get accepted(): 'accept' | 'tag' | 'quarantine' {
    const worst = worstOf(this.#inspection.found(this.#message().facts));
    return worst?.mode === 'quarantine' || worst?.mode === 'tag' ? worst.mode : 'accept';
  }

  close(): void {
    this.#current?.abort.abort();
    this.#abort.abort();
  }

  #refusal(): Judged | null {
    const worst = worstOf(this.#inspection.found(this.#message().facts));
    return refuses(worst) ? worst : null;
  }

  async #mark(facts: MessageFacts): Promise<void> {
    const { message, client } = facts;
    // A relay may run this filter itself. A user who has logged in may not mark mail for others.
    const mayMark = client.class === 'internal' || client.class === 'relay';
    if (!mayMark && !this.#config.milter.dry_run) removeForged(message.headers);
    const found = this.#inspection.found(facts);
    for (const judged of found.filter(({ mode }) => mode === 'tag').reverse()) await mark(message, judged);
    const held = found.find(({ mode }) => mode === 'quarantine');
    if (held) message.quarantine(`${held.rule.name}; ${held.finding.reason}`);
  }

  #message(): Current {
    if (this.#current === null) throw new Error('the MTA has begun no message');
    return this.#current;
  }

  #facts(): SessionFacts {
    return {
      client: this.#client,
      helo: this.#helo,
      host: this.#host,
      dns: this.#dns,
      freshDns: () => resolverFor(this.#config.dns, this.#abort.signal),
      signal: this.#abort.signal,
      demerits: 0, // counted for each rule that is asked
    };
  }

  #messageFacts(message: Transaction, signal: AbortSignal): MessageFacts {
    const { auth, sender } = message;
    const client: Client = auth === null ? this.#client : { ...this.#client, class: 'authenticated' };
    const freshDns = () => resolverFor(this.#config.dns, signal);
    const session: SessionFacts = { ...this.#facts(), client, dns: freshDns(), freshDns, signal };
    let asked: Promise<Authentication> | undefined;
    const authentication = () => {
      asked ??= this.#authenticate(session, sender.address);
      return asked;
    };
    return { ...session, message, authentication, level: async () => (await authentication()).level };
  }

  async #authenticate(facts: SessionFacts, sender: string): Promise<Authentication> {
    // A sender's record may cause as many questions as there may be; then there must be some left for others.
    const own = { ...facts, dns: facts.freshDns() };
    const found = await authenticate(own, sender, this.#config.authentication);
    if (found.sender !== null)
      this.#write('AUTHENTICATION', found.level, `SPF ${found.sender.result}`, found.forwarder ?? '');
    return found;
  }
}
