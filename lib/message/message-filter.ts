/** A filter that gets each message whole. */
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL } from '../addon/constants.js';
import type { Answer, Status } from '../addon/status.js';
import { Base } from '../filter/base.js';
import { MilterError } from '../internal/errors.js';
import type { Peer } from '../session/hostaddr.js';
import { EnvelopeAddress } from './address.js';
import { applyEdits } from './apply.js';
import { type StorageOptions, storageOptions } from './body-store.js';
import { HeaderField } from './header-field.js';
import { authFacts, type ClientFacts, clientFacts, tlsFacts } from './session-facts.js';
import { type SessionFacts, Transaction } from './transaction.js';

/** Verdicts after which the MTA drops all changes, so that none is sent. */
const DROPS: ReadonlySet<Status> = new Set([REJECT, TEMPFAIL, DISCARD]);

const NO_CLIENT: ClientFacts = { name: null, hostname: '', address: null, port: null, family: 'unknown' };

/**
 * Extend this class and write {@link message}: it is called once for each message, with all of it. A decision that needs less can
 * be made earlier in {@link atConnect}, {@link atHello}, {@link atMail}, {@link atRcpt} and {@link atHeaders}. Each returns a
 * status, as handlers do.
 *
 * An edit may be made at any of these points, and is sent to the MTA at the end of the message. ACCEPT before the end asks no more
 * questions about the message. The handlers of {@link Base} are used by this class: one that is overridden must call `super`'s.
 */
export abstract class MessageFilter extends Base {
  static readonly headerLeadingSpace: boolean = true;
  /** The store of bodies has copied or written a chunk when `body` has answered. */
  static readonly borrowed: readonly string[] = ['body'];
  /** How the bodies of messages are kept until {@link message} has returned. */
  static readonly storage: StorageOptions = {};

  #client: ClientFacts = NO_CLIENT;
  #helo: string | null = null;
  #transaction: Transaction | null = null;
  #storage: Required<StorageOptions> | undefined;

  /**
   * The whole message. CONTINUE and ACCEPT deliver it, with the edits that were made.
   * An exception is handled as the exception policy says, and no edit is sent.
   */
  protected abstract message(transaction: Transaction): Answer;

  /** A client has connected. */
  protected atConnect(session: SessionFacts): Answer {
    void session;
    return CONTINUE;
  }

  /** The client has given its name. */
  protected atHello(session: SessionFacts): Answer {
    void session;
    return CONTINUE;
  }

  /** The client has named the sender. REJECT refuses the message, not the session. */
  protected atMail(transaction: Transaction): Answer {
    void transaction;
    return CONTINUE;
  }

  /** The client has named a recipient. REJECT and TEMPFAIL refuse this recipient only, which is then not among the others. */
  protected atRcpt(transaction: Transaction, recipient: EnvelopeAddress): Answer {
    void transaction;
    void recipient;
    return CONTINUE;
  }

  /** The headers are complete, the body is still to come. */
  protected atHeaders(transaction: Transaction): Answer {
    void transaction;
    return CONTINUE;
  }

  // --- the handlers of Base

  override connect(hostname: string, ...peer: Peer | []): Answer {
    this.#client = clientFacts(hostname, peer, (name) => this.getsymval(name));
    return this.atConnect(this.#session());
  }

  override hello(name: string): Answer {
    this.#helo = name;
    return this.atHello(this.#session());
  }

  override async envfrom(sender: string, ...params: string[]): Promise<Status> {
    await this.#end(this.#transaction);
    this.#storage ??= storageOptions((this.constructor as typeof MessageFilter).storage);
    const transaction = new Transaction(this.#session(), new EnvelopeAddress(sender, params), this.#storage);
    this.#transaction = transaction;
    this.#open();
    return early(transaction, await this.atMail(transaction));
  }

  override async envrcpt(address: string, ...params: string[]): Promise<Status> {
    const transaction = this.#open();
    const recipient = new EnvelopeAddress(address, params);
    const status = await this.atRcpt(transaction, recipient);
    if (status !== REJECT && status !== TEMPFAIL) transaction.recipients.accept(recipient);
    return early(transaction, status);
  }

  override header(name: string, value: string): Answer {
    this.#open().addReceived(HeaderField.received(this.context.protocol, name, value));
    return CONTINUE;
  }

  override async eoh(): Promise<Status> {
    const transaction = this.#open();
    return early(transaction, await this.atHeaders(transaction));
  }

  override async body(chunk: Buffer): Promise<Status> {
    await this.#open().addBody(chunk);
    return CONTINUE;
  }

  override async eom(): Promise<Status> {
    const transaction = this.#open();
    try {
      const status = transaction.accepted ? ACCEPT : await this.message(transaction);
      if (!DROPS.has(status)) await applyEdits(this, transaction);
      return status === CONTINUE ? ACCEPT : status;
    } finally {
      await this.#end(transaction);
    }
  }

  override async abort(): Promise<Status> {
    await this.#end(this.#transaction);
    return CONTINUE;
  }

  override async close(): Promise<Status> {
    await this.#end(this.#transaction);
    return CONTINUE;
  }

  #session(): SessionFacts {
    const macros = (name: string) => this.getsymval(name);
    return { client: this.#client, helo: this.#helo, tls: tlsFacts(macros), auth: authFacts(macros) };
  }

  /** The transaction that a step belongs to. */
  #open(): Transaction {
    const transaction = this.#transaction;
    // An MTA that breaks the protocol, as a message without MAIL.
    if (transaction === null) throw new MilterError('ERR_MILTER_BAD_CONTEXT', 'the MTA has begun no message');
    transaction.queueId ??= this.getsymval('i');
    return transaction;
  }

  /** Removes what a transaction holds. A handler that comes too late ends its own, not the one that has begun since. */
  async #end(transaction: Transaction | null): Promise<void> {
    if (transaction === this.#transaction) this.#transaction = null;
    await transaction?.dispose();
  }
}

/** ACCEPT before the end of the message would lose the edits, so then the rest of the message passes without further questions. */
function early(transaction: Transaction, status: Status): Status {
  if (status !== ACCEPT || !transaction.isEdited) return status;
  transaction.accepted = true;
  return CONTINUE;
}
