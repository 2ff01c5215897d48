/** The filter: tells the session what the MTA says, and the MTA what follows from the rules. */
import { hostname as ownName } from 'node:os';
import * as Milter from 'tsmilter';
import { type EnvelopeAddress, MessageFilter, type SessionFacts, type Transaction } from 'tsmilter/message';
import type { Log } from '../shared/log';
import type { Config } from './config';
import type { LiveConfig } from './live-config';
import { Session } from './session';
import { shown } from './shown';
import { type Judged, replyOf } from './verdict';

/** Shared by all sessions. */
export interface Shared {
  readonly live: LiveConfig;
  readonly log: Pick<Log, 'write'>;
}

/**
 * Nothing is refused before RCPT: a client that logs in is not what its address seemed to be, and the log can say whose mail was
 * refused.
 */
export class GuardFilter extends MessageFilter {
  readonly #id = Milter.uniqueID();
  readonly #shared: Shared;
  #config: Config | null = null;
  #session: Session | null = null;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  protected override async atConnect({ client }: SessionFacts): Promise<Milter.Status> {
    this.#config ??= this.#shared.live.use();
    const host = this.getsymval('j')?.trim() || ownName();
    this.#session = await Session.begin(this.#config, client, host, (...words) => this.#log(...words));
    return Milter.CONTINUE;
  }

  protected override async atHello({ helo }: SessionFacts): Promise<Milter.Status> {
    await this.#open().hello(helo);
    return Milter.CONTINUE;
  }

  protected override async atMail(message: Transaction): Promise<Milter.Status> {
    const session = this.#open();
    await session.finish('abandoned');
    const { sender, auth } = message;
    this.#log('MAIL', `from ${shown(sender.address)}`, ...(auth ? [`user ${shown(auth.user)}`] : []));
    await session.mail(message);
    return Milter.CONTINUE;
  }

  protected override async atRcpt(
    { sender }: Transaction,
    recipient: EnvelopeAddress,
  ): Promise<Milter.Status> {
    const refusal = await this.#open().rcpt(recipient);
    if (refusal === null) return Milter.CONTINUE;
    return this.#refuse(refusal, `to ${shown(recipient.address)} from ${shown(sender.address)}`);
  }

  protected override async atHeaders(): Promise<Milter.Status> {
    return this.#answer(await this.#open().headers());
  }

  protected override async message({ queueId }: Transaction): Promise<Milter.Status> {
    const session = this.#open();
    const status = await this.#answer(await session.end());
    if (status !== Milter.CONTINUE) return status;
    const { accepted } = session;
    this.#log(accepted.toUpperCase(), `message ${queueId ?? ''}`);
    await session.finish(accepted);
    return status;
  }

  override async eoh(): Promise<Milter.Status> {
    return this.#reportingFailure(() => super.eoh());
  }

  override async eom(): Promise<Milter.Status> {
    return this.#reportingFailure(() => super.eom());
  }

  override async abort(): Promise<Milter.Status> {
    await this.#session?.finish('abandoned');
    return super.abort();
  }

  override async close(): Promise<Milter.Status> {
    await this.#session?.finish('abandoned');
    this.#session?.close();
    this.#session = null;
    const config = this.#config;
    this.#config = null;
    await config?.resources.release();
    return super.close();
  }

  /** Lets the rules know of a message that the filter itself fails on; the exception policy says what becomes of it. */
  async #reportingFailure(handle: () => Promise<Milter.Status>): Promise<Milter.Status> {
    try {
      return await handle();
    } catch (error) {
      await this.#session?.finish('failed', error);
      throw error;
    }
  }

  async #answer(refusal: Judged | null): Promise<Milter.Status> {
    if (refusal === null) return Milter.CONTINUE;
    const status = this.#refuse(refusal, 'message');
    await this.#open().finish(refusal.mode === 'reject' ? 'reject' : 'defer');
    return status;
  }

  #refuse(refusal: Judged, what: string): Milter.Status {
    const { code, extended, text } = replyOf(refusal);
    this.#log(refusal.mode.toUpperCase(), `${refusal.rule.name}:`, what);
    this.setReplyText(code, extended, text);
    return refusal.mode === 'reject' ? Milter.REJECT : Milter.TEMPFAIL;
  }

  #open(): Session {
    if (this.#session === null) throw new Error('the MTA has begun no session');
    return this.#session;
  }

  #log(...words: readonly string[]): void {
    this.#shared.log.write(`[${this.#id}]`, ...words);
  }
}
