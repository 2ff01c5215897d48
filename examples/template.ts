/**
 * A filter to begin with: copy this file, keep the methods that you need, delete the others.
 *
 *     node template.js unix:/run/template/sock [--bcc archive@example.com] [--mode 660]
 *
 * It logs every step, keeps each message until its end, and then says which files are attached and sends a copy to one
 * more recipient, whom no header names.
 *
 * What holds for every method:
 *
 * - A method that you delete costs nothing: the MTA is told not to send that step.
 * - The methods of a session run one by one; each may be async, and is awaited before the next.
 * - Each answers with a status. CONTINUE goes on, ACCEPT takes the message unseen from here on, REJECT and TEMPFAIL refuse
 *   it (for good, for now), DISCARD takes it and throws it away. An exception is a TEMPFAIL: see setExceptionPolicy.
 * - `getsymval` asks for a macro of the MTA's, `setreply` sets the text of a REJECT or TEMPFAIL to come. Whatever changes
 *   the message (addheader, chgheader, addrcpt, delrcpt, chgfrom, replacebody, quarantine) is for `eom` only.
 */
import { parseArgs } from 'node:util';
import * as Milter from 'tsmilter';
import { MimeMessage } from 'tsmilter/mime';

const USAGE = 'usage: template.js SOCKET [--bcc ADDRESS] [--mode OCTAL]';

/** Who gets a copy of everything; null for nobody. */
let bcc: string | null = null;

/** One object for one SMTP session: keep in its fields what has to last. A session may bring several messages. */
export class TemplateFilter extends Milter.Base {
  readonly #id = Milter.uniqueID();
  /** The message as far as it has come. In memory, so mind the MTA's size limit; sample/spool.ts shows a file instead. */
  #message: Buffer[] = [];

  /** What strangers have sent must not look like a line of its own. */
  #log(...message: unknown[]): void {
    console.log(`[${this.#id}]`, message.join(' ').replace(/\p{Cc}+/gu, ' '));
  }

  /**
   * First of all: what the MTA can do, in bits, which may be cut down here. The default does what the methods and decorators of
   * this class say. Nothing is known of the client yet, and there are no macros.
   *
   * Delete it, unless what you want of the MTA is only known when the filter runs.
   */
  override negotiate(options: Milter.NegotiationOptions) {
    const answer = super.negotiate(options);
    this.#log('negotiated: actions', options[0], 'protocol', options[1]);
    return answer;
  }

  /**
   * A client has connected. `hostaddr` is [ip, port] and more for IPv6, a path for a unix socket, null where the MTA does not
   * tell; docs/ipv6.md shows how `family` tells them apart. ACCEPT here takes every message of the session without a look.
   *
   * Delete it, if it is all the same to you where mail comes from. `noreply` says that the answer is always CONTINUE, so
   * that the MTA does not have to wait for it: take it away when you want to refuse someone.
   */
  @Milter.noreply
  override connect(hostname: string, ...[, hostaddr]: Milter.Peer): Milter.Answer {
    this.#log('connect from', hostname, 'at', JSON.stringify(hostaddr), 'to', this.getsymval('j'));
    return Milter.CONTINUE;
  }

  /** HELO or EHLO: once, several times (after STARTTLS say), or never. Delete it, if you do not believe it anyway. */
  @Milter.noreply
  override hello(hostname: string): Milter.Answer {
    this.#log('hello from', hostname);
    return Milter.CONTINUE;
  }

  /**
   * MAIL: a message begins. `sender` as the client has typed it, mostly with <>, and <> alone for bounces; `params` are
   * ESMTP parameters such as SIZE=1000. `symlist` asks for the macros you need, at most five, in place of the MTA's own list.
   *
   * Keep this one, if you keep anything of a message: the last one may have ended without eom or abort. It has no `noreply`,
   * because Sendmail sends no abort for a message whose MAIL had no answer.
   */
  @Milter.symlist('i', '{auth_authen}')
  override envfrom(sender: string, ...params: string[]): Milter.Answer {
    this.#message = [];
    this.#log('mail from', sender, ...params, 'user', this.getsymval('{auth_authen}'));
    return Milter.CONTINUE;
  }

  /** RCPT, for each recipient. REJECT and TEMPFAIL are about this recipient only; DISCARD and ACCEPT about the message. */
  @Milter.noreply
  override envrcpt(recipient: string, ...params: string[]): Milter.Answer {
    this.#log('rcpt to', recipient, ...params);
    return Milter.CONTINUE;
  }

  /** DATA: all recipients are known. The last place to refuse a message before it is sent. */
  @Milter.noreply
  override data(): Milter.Answer {
    this.#log('data');
    return Milter.CONTINUE;
  }

  /**
   * A header. `value` is text, folded lines joined by LF; with `decode('bytes')` it is a Buffer, which keeps what is no UTF-8.
   * Verdicts on header, eoh and body are told to the client at the end of the message, since it hears nothing before.
   */
  @Milter.decode('bytes')
  override header(name: string, value: string | Buffer): Milter.Answer {
    this.#log(`${name}: ${value}`);
    this.#message.push(Buffer.from(`${name}: `), Buffer.from(value), Buffer.from('\r\n'));
    return Milter.CONTINUE;
  }

  /** The headers are complete; a message without a body has this step too. */
  override eoh(): Milter.Answer {
    this.#log('end of headers');
    this.#message.push(Buffer.from('\r\n'));
    return Milter.CONTINUE;
  }

  /**
   * A piece of the body, some 64 KiB at most; none where the body is empty. SKIP says that you have seen enough.
   *
   * Delete it, with `header` and `eoh`, if you judge by the envelope: the message then never crosses over to the filter.
   */
  override body(chunk: Buffer): Milter.Answer {
    this.#log('body,', chunk.length, 'bytes');
    this.#message.push(chunk);
    return Milter.CONTINUE;
  }

  /**
   * The end of the message, and the only place to change it. The client is waiting for the answer; while it takes long, the
   * MTA is told every now and then that the filter is still at work.
   */
  override async eom(): Promise<Milter.Status> {
    const message = MimeMessage.from(Buffer.concat(this.#message));
    this.#message = [];
    for (const part of message.walk()) {
      // A name may be in several places; `getnames(true)` also looks into ZIP files.
      const names = new Set((await part.getnames()).map(([, name]) => name));
      for (const name of names) this.#log('attachment', JSON.stringify(name), 'of type', part.gettype());
    }
    if (bcc !== null) {
      this.addrcpt(`<${bcc}>`);
      this.#log('copy to', bcc);
    }
    // Postfix has the queue id only after the first recipient, so it is best asked for here.
    this.#log('end of message', this.getsymval('i'));
    return Milter.ACCEPT;
  }

  /** A command that the MTA does not know. It refuses it anyway: REJECT and TEMPFAIL change the reply. Delete it. */
  @Milter.noreply
  override unknown(command: string): Milter.Answer {
    this.#log('unknown command', command);
    return Milter.CONTINUE;
  }

  /** The message ends without eom: RSET, another EHLO, a client that is gone. Free what belongs to the message. */
  override abort(): Milter.Answer {
    this.#log('abort');
    this.#message = [];
    return Milter.CONTINUE;
  }

  /** The session has ended: nothing can be asked of the MTA any more. Free what belongs to the session. Called in any case. */
  override close(): Milter.Answer {
    this.#log('close');
    return Milter.CONTINUE;
  }
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { bcc: { type: 'string' }, mode: { type: 'string' } },
  });
  const [socket] = positionals;
  if (socket === undefined || positionals.length > 1) throw new Error('one socket is needed');
  bcc = values.bcc ?? null;
  // The rights that eom uses. Without this line the filter asks for all of them.
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
  if (!(error instanceof Milter.MilterError)) console.error(USAGE);
  process.exitCode = 1;
});
