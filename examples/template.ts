/**
 * A starting point: copy this file, keep the methods that you need, and delete the others.
 *
 *     node template.js unix:/run/template/sock [--bcc archive@example.com] [--mode 660]
 *
 * It logs every step and keeps each message until its end. Then it logs which files are attached, and adds one recipient,
 * who is not named in any header.
 *
 * These rules apply to every method:
 *
 * - A method that you delete costs nothing: the MTA is told not to send that step.
 * - The methods of a session run one at a time. Each may be async and is awaited before the next one is called.
 * - Each returns a status. CONTINUE goes on, ACCEPT accepts the message without any further step, REJECT rejects it
 *   permanently and TEMPFAIL temporarily, and DISCARD pretends to accept it and drops it. An exception counts as TEMPFAIL:
 *   see setExceptionPolicy.
 * - `getsymval` reads one of the MTA's macros; `setreply` sets the text for the REJECT or TEMPFAIL that follows. The actions
 *   that change the message (addheader, chgheader, addrcpt, delrcpt, chgfrom, replacebody, quarantine) work only in `eom`.
 */
import * as Milter from 'tsmilter';
import { MimeMessage } from 'tsmilter/mime';
import { printable } from 'tsmilter/utils';
import { readCommandLine } from './shared/command-line';
import { ConfigError } from './shared/config-error';

const USAGE = 'usage: template.js SOCKET [--bcc ADDRESS] [--mode OCTAL]';

/** The recipient who gets a copy of every message, or null. */
let bcc: string | null = null;

/** One object per SMTP session: its fields keep state between the steps. A session may contain several messages. */
export class TemplateFilter extends Milter.Base {
  readonly #id = Milter.uniqueID();
  /** What has arrived of the message. It is kept in memory, up to the MTA's size limit; sample/spool.ts uses a file instead. */
  #message: Buffer[] = [];

  /** Escapes what is not printable, so that text from a message cannot forge a line of the log. */
  #log(...message: unknown[]): void {
    console.log(`[${this.#id}]`, printable(message.join(' ')));
  }

  /**
   * The first step: the MTA offers its features as bits, and the filter may clear those that it does not want. The default
   * follows from the methods and decorators of this class. The client is not known yet, and there are no macros.
   *
   * Delete it unless the features that you need depend on something that is known only at run time.
   */
  override negotiate(options: Milter.NegotiationOptions) {
    const answer = super.negotiate(options);
    this.#log('negotiated: actions', options[0], 'protocol', options[1]);
    return answer;
  }

  /**
   * A client has connected. `hostaddr` is [ip, port] with two more elements for IPv6, a path for a unix socket, and null if
   * the MTA does not know the address; docs/ipv6.md shows how to distinguish them by `family`. ACCEPT accepts every message
   * of the session without any further step.
   *
   * Delete it if the client does not matter to you. `noreply` promises that the answer is always CONTINUE, so the MTA need
   * not wait for it; remove the decorator if you want to reject a client.
   */
  @Milter.noreply
  override connect(hostname: string, ...[, hostaddr]: Milter.Peer): Milter.Answer {
    this.#log('connect from', hostname, 'at', JSON.stringify(hostaddr), 'to', this.getsymval('j'));
    return Milter.CONTINUE;
  }

  /** HELO or EHLO: once, several times (for example after STARTTLS), or never. The client can send any name it likes. */
  @Milter.noreply
  override hello(hostname: string): Milter.Answer {
    this.#log('hello from', hostname);
    return Milter.CONTINUE;
  }

  /**
   * MAIL: a message begins. `sender` is spelt as the client sent it, usually in angle brackets; bounces have `<>`. `params`
   * are ESMTP parameters such as SIZE=1000. `symlist` requests the macros that you need, at most five, instead of the MTA's
   * own list.
   *
   * Reset the state of a message here, because the previous one may have ended without eom or abort. This method has no
   * `noreply`, because Sendmail sends no abort for a message whose MAIL had no reply.
   */
  @Milter.symlist('i', '{auth_authen}')
  override envfrom(sender: string, ...params: string[]): Milter.Answer {
    this.#message = [];
    this.#log('mail from', sender, ...params, 'user', this.getsymval('{auth_authen}'));
    return Milter.CONTINUE;
  }

  /** RCPT, once per recipient. REJECT and TEMPFAIL apply to this recipient only, DISCARD and ACCEPT to the whole message. */
  @Milter.noreply
  override envrcpt(recipient: string, ...params: string[]): Milter.Answer {
    this.#log('rcpt to', recipient, ...params);
    return Milter.CONTINUE;
  }

  /** DATA: all recipients are known. This is the last chance to reject a message before its content is sent. */
  @Milter.noreply
  override data(): Milter.Answer {
    this.#log('data');
    return Milter.CONTINUE;
  }

  /**
   * A header. `value` is text, with LF between folded lines; with `decode('bytes')` it is a Buffer, which keeps bytes that
   * are not UTF-8. The client learns of a verdict on header, eoh or body at the end of the message, because SMTP has no
   * reply before that.
   */
  @Milter.decode('bytes')
  override header(name: string, value: string | Buffer): Milter.Answer {
    this.#log(`${name}: ${value}`);
    this.#message.push(Buffer.from(`${name}: `), Buffer.from(value), Buffer.from('\r\n'));
    return Milter.CONTINUE;
  }

  /** The end of the headers, also in a message without a body. */
  override eoh(): Milter.Answer {
    this.#log('end of headers');
    this.#message.push(Buffer.from('\r\n'));
    return Milter.CONTINUE;
  }

  /**
   * A chunk of the body, at most 65,535 bytes; an empty body has none. SKIP asks for no more chunks of this message.
   *
   * Delete it together with `header` and `eoh` if the envelope is all you need: the MTA then does not send the message to
   * the filter at all.
   */
  override body(chunk: Buffer): Milter.Answer {
    this.#log('body,', chunk.length, 'bytes');
    this.#message.push(chunk);
    return Milter.CONTINUE;
  }

  /**
   * The end of the message, and the only place where the message can be changed. The client waits for the answer. If that
   * takes long, the package keeps the MTA from timing out by reporting progress every 5 seconds.
   */
  override async eom(): Promise<Milter.Status> {
    const message = Buffer.concat(this.#message);
    this.#message = [];
    try {
      await this.#logAttachments(message);
    } catch (error) {
      if (!(error instanceof Milter.MilterError) || error.code !== 'ERR_MILTER_MIME_LIMIT') throw error;
      // For example a megabyte of headers: it would not become less at a retry, so this is no case for TEMPFAIL.
      this.setreply('554', '5.6.0', 'the message is too large or too deeply nested to be read');
      return Milter.REJECT;
    }
    if (bcc !== null) {
      this.addrcpt(`<${bcc}>`);
      this.#log('copy to', bcc);
    }
    // Postfix assigns the queue id after the first recipient, so read it here.
    this.#log('end of message', this.getsymval('i'));
    return Milter.ACCEPT;
  }

  async #logAttachments(message: Buffer): Promise<void> {
    for (const part of MimeMessage.from(message).walk()) {
      // A part may give its name in several places; `getnames(true)` also looks into ZIP files.
      const names = new Set((await part.getnames()).map(([, name]) => name));
      for (const name of names) this.#log('attachment', JSON.stringify(name), 'of type', part.gettype());
    }
  }

  /** A command that the MTA does not know and rejects; the filter can only change the reply. Most filters delete this method. */
  @Milter.noreply
  override unknown(command: string): Milter.Answer {
    this.#log('unknown command', command);
    return Milter.CONTINUE;
  }

  /** The message ends without eom: RSET, another EHLO, or a lost connection. Release what belongs to the message. */
  override abort(): Milter.Answer {
    this.#log('abort');
    this.#message = [];
    return Milter.CONTINUE;
  }

  /** The session has ended, and the MTA cannot be asked anything any more. Always called: release what belongs to the session. */
  override close(): Milter.Answer {
    this.#log('close');
    return Milter.CONTINUE;
  }
}

async function main(): Promise<void> {
  const { positionals, values } = readCommandLine(USAGE, {
    bcc: { type: 'string' },
    mode: { type: 'string' },
  });
  const [socket] = positionals;
  if (socket === undefined) throw new ConfigError(`a socket is needed\n${USAGE}`);
  bcc = values.bcc ?? null;
  // The rights that eom needs. Without this line the filter requests all of them.
  Milter.setFlags(Milter.ADDRCPT);
  await Milter.runmilter('template', socket, {
    factory: TemplateFilter,
    timeout: 600,
    ...(values.mode !== undefined && { mode: Number.parseInt(values.mode, 8) }),
    onListening: () => console.log(`template: listening on ${socket}`),
  });
  console.log('template: stopped'); // by SIGTERM, SIGINT, or Milter.stop()
}

main().catch((error: unknown) => {
  console.error(`template: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});
