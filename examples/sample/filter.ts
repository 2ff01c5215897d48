/** The sample filter: how it handles a message, step by step. */
import * as Milter from 'tsmilter';
import { defangStream } from 'tsmilter/mime';
import { printable } from 'tsmilter/utils';
import { attachmentRules } from './attachments';
import { decodeWords, rejectionReason } from './headers';
import { Spool } from './spool';

/** The only recipient of bounces of spam with a forged sender. */
const MAILER_DAEMON = /^<?mailer-daemon(@|>|$)/i;
const LOGGED_HEADERS: ReadonlySet<string> = new Set(['from', 'to', 'subject', 'x-mailer']);

/**
 * Whether a message exceeds a limit of tsmilter/mime, for example with a megabyte of headers. It would do so at each retry, so it is
 * rejected rather than deferred.
 */
function exceedsLimit(error: unknown): boolean {
  return error instanceof Milter.MilterError && error.code === 'ERR_MILTER_MIME_LIMIT';
}

/** One SMTP session, which may contain several messages, one after the other. */
export class SampleFilter extends Milter.Base {
  readonly #id = Milter.uniqueID();
  #head: Buffer[] = [];
  #names = new Set<string>();
  #bodySize = 0;
  #spool: Spool | null = null;

  /** Logs one line. What is not printable is escaped, so that text from a message cannot forge another line. */
  #log(...message: unknown[]): void {
    const time = new Date().toISOString().slice(11, 19);
    console.log(time, `[${this.#id}]`, printable(message.join(' ')));
  }

  /** Rejects the message with a reason that the sender sees. */
  #refuse(reason: string): Milter.Status {
    this.#log('REJECT:', reason);
    this.setReplyText('550', '5.7.1', reason);
    return Milter.REJECT;
  }

  @Milter.noreply
  override connect(hostname: string, ...[, hostaddr]: Milter.Peer): Milter.Answer {
    this.#log('connect from', hostname, 'at', JSON.stringify(hostaddr));
    return Milter.CONTINUE;
  }

  @Milter.noreply
  override hello(hostname: string): Milter.Answer {
    this.#log('hello from', hostname);
    return Milter.CONTINUE;
  }

  /** A new message begins. */
  @Milter.symlist('{auth_authen}')
  override async envfrom(sender: string, ...params: string[]): Promise<Milter.Status> {
    await this.#reset();
    const user = this.getsymval('{auth_authen}');
    if (user) this.#log('user', user, 'sends mail from', sender, ...params);
    else this.#log('mail from', sender, ...params);
    return Milter.CONTINUE;
  }

  override envrcpt(recipient: string, ...params: string[]): Milter.Answer {
    if (MAILER_DAEMON.test(recipient)) {
      this.#log('DISCARD: rcpt to', recipient);
      return Milter.DISCARD;
    }
    this.#log('rcpt to', recipient, ...params);
    return Milter.CONTINUE;
  }

  /** As bytes, because the spool keeps the message unchanged. */
  @Milter.decode('bytes')
  override header(name: string, value: string | Buffer): Milter.Answer {
    const text = value.toString();
    if (LOGGED_HEADERS.has(name.toLowerCase())) this.#log(`${name}: ${decodeWords(text)}`);
    this.#names.add(name.toLowerCase());
    this.#head.push(Buffer.concat([Buffer.from(`${name}: `), Buffer.from(value), Buffer.from('\r\n')]));
    const reason = rejectionReason(name, text);
    return reason === null ? Milter.CONTINUE : this.#refuse(reason);
  }

  override async eoh(): Promise<Milter.Status> {
    this.#spool = await Spool.create();
    await this.#spool.write(Buffer.concat([...this.#head, Buffer.from('\r\n')]));
    return Milter.CONTINUE;
  }

  @Milter.borrowed
  override async body(chunk: Buffer): Promise<Milter.Status> {
    this.#bodySize += chunk.length;
    await this.#spool?.write(chunk); // throws if the disk is full: the exception policy then defers the message
    return Milter.CONTINUE;
  }

  override async eom(): Promise<Milter.Status> {
    try {
      if (this.#spool) await this.#defang(this.#spool);
      this.#log(`end of message, ${this.#bodySize} bytes of body`);
      return Milter.ACCEPT;
    } catch (error) {
      if (!exceedsLimit(error)) throw error; // such as a full disk: the exception policy defers the message
      return this.#refuse('the message is too large or too deeply nested to be checked for attachments');
    } finally {
      await this.#reset();
    }
  }

  /**
   * Replaces dangerous attachments by warnings. It reads the spool twice, because whether anything changes is known only at the
   * end, and the body of most messages should not be replaced.
   */
  async #defang(spool: Spool): Promise<void> {
    const rules = attachmentRules(this.getsymval('j') ?? 'this host');
    const headerchange = (_: unknown, name: string, value: string | null) =>
      this.#applyHeaderChange(name, value);
    const scan = defangStream(spool.read(), { ...rules, headerchange });
    if (!(await scan.finish())) return;
    this.#log('REPLACED:', scan.replaced.map((name) => JSON.stringify(name)).join(', '));
    for await (const piece of defangStream(spool.read(), { ...rules, bodyOnly: true }))
      this.replacebody(piece);
  }

  /** If the message itself was the attachment, its headers become those of the warning. */
  #applyHeaderChange(name: string, value: string | null): void {
    if (this.#names.has(name.toLowerCase())) this.chgheader(name, 1, value);
    else if (value !== null) this.addheader(name, value);
  }

  /** The message ended without eom. The session may go on. */
  override async abort(): Promise<Milter.Status> {
    this.#log(`abort after ${this.#bodySize} bytes of body`);
    await this.#reset();
    return Milter.CONTINUE;
  }

  override async close(): Promise<Milter.Status> {
    this.#log('close');
    await this.#reset();
    return Milter.CONTINUE;
  }

  async #reset(): Promise<void> {
    const spool = this.#spool;
    this.#spool = null;
    this.#head = [];
    this.#names.clear();
    this.#bodySize = 0;
    await spool?.remove();
  }
}
