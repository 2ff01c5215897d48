/** An SMTP session with one host, over nodemailer's SMTPConnection. */
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { MailHost } from './hosts.js';

/** The reply of a host to a command. */
export interface Reply {
  readonly code: number;
  readonly text: string;
}

export interface ConversationOptions {
  readonly port: number;
  /** The name in EHLO. */
  readonly name: string;
  readonly tls: boolean;
  readonly localAddress: string | undefined;
}

/** Replies of other hosts are cut to this length. */
const MAX_TEXT_LENGTH = 512;

/**
 * nodemailer sends whole messages only, and has no method for a single command. Its hook for custom AUTH mechanisms, however,
 * can send any command, so a callback uses it to send RCPT without a message.
 */
const PROBE = 'MILTER-CALLBACK';

type Send = (command: string) => Promise<Reply>;

export class Conversation implements Disposable {
  readonly #connection: SMTPConnection;
  #commands: ((send: Send) => Promise<void>) | undefined;

  private constructor(host: MailHost, { port, name, tls, localAddress }: ConversationOptions) {
    this.#connection = new SMTPConnection({
      host: host.address,
      port,
      name,
      secure: false,
      ignoreTLS: !tls,
      opportunisticTLS: tls,
      // Opportunistic TLS: there is nothing to check the certificate of an unknown host against (RFC 7435).
      tls: {
        rejectUnauthorized: false,
        ...(host.name === host.address ? {} : { servername: servernameOf(host) }),
      },
      customAuth: {
        [PROBE]: async (context) => {
          await this.#commands?.(async (command) => replyOf((await context.sendCommand(command)).response));
          context.resolve();
          return true;
        },
      },
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#connection.on('error', () => {}); // pending calls have listeners of their own; without any listener, an error would end the process
  }

  /** Connects, and sends EHLO or HELO. @throws SMTPError */
  static async open(
    host: MailHost,
    options: ConversationOptions,
    signal: AbortSignal,
  ): Promise<Conversation> {
    const conversation = new Conversation(host, options);
    try {
      await conversation.#untilClosed(signal, (done) => conversation.#connection.connect(done));
      return conversation;
    } catch (error) {
      conversation[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends commands, one after the other. @throws SMTPError if the connection ends */
  async runCommands(commands: (send: Send) => Promise<void>, signal: AbortSignal): Promise<void> {
    this.#commands = commands;
    await this.#untilClosed(signal, (done) =>
      this.#connection.login({ type: 'custom', method: PROBE } as never, done),
    );
  }

  /** Sends a message. @throws SMTPError */
  async send(from: string, to: string, message: string | Buffer, signal: AbortSignal): Promise<void> {
    await this.#untilClosed(signal, (done) =>
      this.#connection.send({ from, to }, message, (error) => done(error ?? undefined)),
    );
  }

  quit(): void {
    this.#connection.quit();
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  #untilClosed(signal: AbortSignal, action: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error | null) => {
        signal.removeEventListener('abort', aborted);
        this.#connection.off('error', finish);
        this.#connection.off('end', ended);
        if (error) reject(error);
        else resolve();
      };
      const aborted = () => finish(new Error('no reply in time'));
      const ended = () => finish(new Error('the host closed the connection'));
      signal.addEventListener('abort', aborted, { once: true });
      this.#connection.once('error', finish);
      this.#connection.once('end', ended);
      if (signal.aborted) aborted();
      else action(finish);
    });
  }
}

const servernameOf = ({ name }: MailHost) => name.replace(/\.$/, '');

/** Parses a reply: `250-one\r\n250 two` is code 250 and text `one two`. */
export function replyOf(response: string): Reply {
  const code = Number(response.slice(0, 3));
  const lines = response.split(/\r?\n/).map((line) => line.replace(/^\d{3}[ -]?/, ''));
  return { code: Number.isInteger(code) ? code : 0, text: oneLine(lines.join(' ')) };
}

/** Sanitises text of other hosts for logs and replies: one line of printable ASCII of limited length. */
export function oneLine(text: string): string {
  const printable = text.slice(0, 2 * MAX_TEXT_LENGTH).replace(/[^\x20-\x7e]+/g, ' ');
  return printable.trim().slice(0, MAX_TEXT_LENGTH);
}
