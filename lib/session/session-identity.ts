/** What a session is called in the log and in reports of errors, and its own log. */

import { type Logger, silentLogger } from '../internal/logger.js';
import { printable } from '../internal/printable.js';
import type { SessionFacts } from './observer.js';

/** Gets a macro of the MTA's; undefined while the MTA waits for nothing. */
export type Getsymval = (name: string) => string | null | undefined;

let sessions = 0;

export class SessionIdentity implements SessionFacts {
  /** Unique while the filter runs. */
  readonly session: string;
  /** As MTAs write it: `mail.example.com[192.0.2.1]`; without a name, `[192.0.2.1]`. */
  client: string | null = null;
  /** The queue id of the current message, or of the last one until another begins, once it has been remembered. */
  knownQueueId: string | null = null;
  readonly #getsymval: Getsymval;
  readonly #logger: Logger;
  #log: Logger | null = null;
  /** What the entries of `#log` carry. */
  #logged: SessionFacts | null = null;

  /** @param prefix what makes the session's number unique among those of all threads */
  constructor(getsymval: Getsymval, logger: Logger = silentLogger, prefix = '') {
    this.#getsymval = getsymval;
    this.#logger = logger;
    this.session = `${prefix}${++sessions}`;
  }

  get queueId(): string | null {
    if (this.knownQueueId !== null) return this.knownQueueId;
    const queueId = this.#getsymval('i') ?? null;
    return queueId === null ? null : printable(queueId);
  }

  /** The MTA's queue id stays known when it waits for nothing any more. */
  rememberQueueId(): void {
    this.knownQueueId = this.queueId;
  }

  /** The facts as they are now. */
  get facts(): SessionFacts {
    const { session, client, queueId } = this;
    return { session, client, queueId };
  }

  /** A log whose entries carry the facts. It is made when it is first asked for, and again when more is known. */
  get log(): Logger {
    if (this.#logger === silentLogger) return silentLogger;
    const { facts } = this;
    const logged = this.#logged;
    if (!this.#log || logged?.queueId !== facts.queueId || logged?.client !== facts.client) {
      const known = Object.entries(facts).filter(([, value]) => value !== null);
      this.#log = this.#logger.child(Object.fromEntries(known));
      this.#logged = facts;
    }
    return this.#log;
  }

  /** The session begins: the arguments of connect, which are family, port, flowinfo, scopeid, hostname, address. */
  connected(args: readonly unknown[]): void {
    const [hostname, address] = args.slice(4) as [string, string | undefined];
    const named = address !== undefined && !hostname.startsWith('[');
    this.client = printable(named ? `${hostname}[${address}]` : hostname);
  }
}
