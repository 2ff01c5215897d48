/** An SMTP session with one host, on nodemailer's connection. */
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { MailHost } from './hosts.js';

/** A host's answer to a command. */
export interface Reply {
  readonly code: number;
  readonly text: string;
}

export interface ConversationOptions {
  readonly port: number;
  /** For EHLO. */
  readonly name: string;
  readonly tls: boolean;
  readonly localAddress: string | undefined;
}

/** A stranger's words: how many of them are passed on. */
const MAX_TEXT_LENGTH = 512;

/**
 * nodemailer offers no command by itself, only whole messages; what it does offer is a hook for mechanisms of AUTH, which may
 * send any command. That is how a callback asks for a recipient without sending a message.
 */
const PROBE = 'MILTER-CALLBACK';

type Send = (command: string) => Promise<Reply>;

export class Conversation implements Disposable {
  readonly #connection: SMTPConnection;
  #talk: ((send: Send) => Promise<void>) | undefined;

  private constructor(host: MailHost, { port, name, tls, localAddress }: ConversationOptions) {
    this.#connection = new SMTPConnection({
      host: host.address,
      port,
      name,
      secure: false,
      ignoreTLS: !tls,
      opportunisticTLS: tls,
      // Between strangers there is nothing to check a certificate against (RFC 7435).
      tls: {
        rejectUnauthorized: false,
        ...(host.name === host.address ? {} : { servername: servernameOf(host) }),
      },
      customAuth: {
        [PROBE]: async (context) => {
          await this.#talk?.(async (command) => replyOf((await context.sendCommand(command)).response));
          context.resolve();
          return true;
        },
      },
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    this.#connection.on('error', () => {}); // who waits is told; between two waits nobody needs to know
  }

  /** Connects and says EHLO, or HELO. @throws SMTPError */
  static async open(
    host: MailHost,
    options: ConversationOptions,
    signal: AbortSignal,
  ): Promise<Conversation> {
    const conversation = new Conversation(host, options);
    try {
      await conversation.#whileOpen(signal, (done) => conversation.#connection.connect(done));
      return conversation;
    } catch (error) {
      conversation[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends commands, one after the other. @throws SMTPError where the connection ends */
  async talk(talk: (send: Send) => Promise<void>, signal: AbortSignal): Promise<void> {
    this.#talk = talk;
    await this.#whileOpen(signal, (done) =>
      this.#connection.login({ type: 'custom', method: PROBE } as never, done),
    );
  }

  /** Sends a message. @throws SMTPError */
  async send(from: string, to: string, message: string | Buffer, signal: AbortSignal): Promise<void> {
    await this.#whileOpen(signal, (done) =>
      this.#connection.send({ from, to }, message, (error) => done(error ?? undefined)),
    );
  }

  quit(): void {
    this.#connection.quit();
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  #whileOpen(signal: AbortSignal, action: (done: (error?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: Error | null) => {
        signal.removeEventListener('abort', aborted);
        this.#connection.off('error', settle);
        this.#connection.off('end', ended);
        if (error) reject(error);
        else resolve();
      };
      const aborted = () => settle(new Error('no answer in time'));
      const ended = () => settle(new Error('closed the connection'));
      signal.addEventListener('abort', aborted, { once: true });
      this.#connection.once('error', settle);
      this.#connection.once('end', ended);
      if (signal.aborted) aborted();
      else action(settle);
    });
  }
}

const servernameOf = ({ name }: MailHost) => name.replace(/\.$/, '');

/** `250-one\r\n250 two`: 250, `one two`. */
export function replyOf(response: string): Reply {
  const code = Number(response.slice(0, 3));
  const lines = response.split(/\r?\n/).map((line) => line.replace(/^\d{3}[ -]?/, ''));
  return { code: Number.isInteger(code) ? code : 0, text: oneLine(lines.join(' ')) };
}

/** Printable, one line, not too long: it goes into logs and replies. */
export function oneLine(text: string): string {
  const printable = text.slice(0, 2 * MAX_TEXT_LENGTH).replace(/[^\x20-\x7e]+/g, ' ');
  return printable.trim().slice(0, MAX_TEXT_LENGTH);
}
