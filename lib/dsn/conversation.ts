/** An SMTP session with one host, over nodemailer's SMTPConnection. */
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { onAbort } from '../internal/on-abort.js';
import type { MailHost } from './hosts.js';

/** How far a callback has got: the step that failed, or was refused. */
export type DsnStage =
  /** The address itself: it is malformed. */
  | 'address'
  /** The mail servers of the domain could not be found in DNS. */
  | 'dns'
  /** No connection. */
  | 'connect'
  /** The greeting of the host. */
  | 'greeting'
  /** EHLO or HELO, STARTTLS, and what the host has told about itself. */
  | 'ehlo'
  /** MAIL: the host refuses this client, or the null sender. */
  | 'mail'
  /** RCPT: the host refuses the address. */
  | 'rcpt'
  /** DATA, or the message. */
  | 'data';

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

/** A conversation that failed. */
export class HostFailure extends Error {
  /** The last reply of the host, if it was a refusal. A host that sends 421 closes the connection, and its text says why. */
  readonly reply: Reply | undefined;
  readonly stage: DsnStage;

  constructor(stage: DsnStage, reply: Reply | undefined, cause: Error) {
    super(cause.message, { cause });
    this.stage = stage;
    this.reply = reply;
  }
}

const ignore = () => {};
const STAGES: Readonly<Record<string, DsnStage>> = { 'MAIL FROM': 'mail', 'RCPT TO': 'rcpt', DATA: 'data' };

export class Conversation implements Disposable {
  readonly #connection: SMTPConnection;
  #commands: ((send: Send) => Promise<void>) | undefined;
  /** The first replies of the host, as it sent them: the greeting, and those to EHLO, STARTTLS and HELO. */
  readonly #introduction: string[] = [];
  /** The reply to the last command. */
  #reply: string | undefined;
  #connected = false;

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
          await this.#commands?.(async (command) => {
            this.#reply = undefined;
            return replyOf((await context.sendCommand(command)).response);
          });
          context.resolve();
          return true;
        },
      },
      ...(localAddress === undefined ? {} : { localAddress }),
      // The only way to see every reply: nodemailer forgets the greeting, and the text of a host that closes the connection.
      transactionLog: true,
      logger: {
        level: ignore,
        trace: ignore,
        debug: (entry: { tnx?: string }, text: string) => {
          if (entry.tnx === 'server') this.#received(String(text));
        },
        info: ignore,
        warn: ignore,
        error: ignore,
        fatal: ignore,
      },
    });
    this.#connection.on('error', () => {}); // pending calls have listeners of their own; without any listener, an error would end the process
  }

  #received(text: string): void {
    this.#reply = text;
    if (!this.#connected) this.#introduction.push(text);
  }

  /** Connects, and sends EHLO or HELO. @throws HostFailure */
  static async open(
    host: MailHost,
    options: ConversationOptions,
    signal: AbortSignal,
  ): Promise<Conversation> {
    const conversation = new Conversation(host, options);
    try {
      await conversation.#untilClosed(
        signal,
        (done) => conversation.#connection.connect(done),
        () => conversation.#openingStage(),
      );
      conversation.#connected = true;
      return conversation;
    } catch (error) {
      conversation[Symbol.dispose]();
      throw error;
    }
  }

  #openingStage(): DsnStage {
    const [greeting, ...more] = this.#introduction;
    if (greeting === undefined) return 'connect';
    return more.length === 0 && !greeting.startsWith('220') ? 'greeting' : 'ehlo';
  }

  /** Whether the host calls itself by a name, in its greeting or its reply to EHLO (RFC 5321 4.1.1.1, 4.2). */
  calledItself(name: string): boolean {
    const ours = sameName(name);
    return this.#introduction.some((reply) => sameName(/^\d{3}[ -](\S+)/.exec(reply)?.[1] ?? '') === ours);
  }

  /** Whether the host has offered an extension in its last reply to EHLO. */
  offers(extension: string): boolean {
    const last = this.#introduction.at(-1) ?? '';
    return new RegExp(`^250[ -]${extension}(?: |\\r?$)`, 'im').test(last);
  }

  /** Sends commands, one after the other. @throws HostFailure if the connection ends */
  async runCommands(
    commands: (send: Send) => Promise<void>,
    stage: () => DsnStage,
    signal: AbortSignal,
  ): Promise<void> {
    this.#commands = commands;
    await this.#untilClosed(
      signal,
      (done) => this.#connection.login({ type: 'custom', method: PROBE } as never, done),
      stage,
    );
  }

  /** Sends a message. @throws HostFailure */
  async send(from: string, to: string, message: string | Buffer, signal: AbortSignal): Promise<void> {
    this.#reply = undefined;
    await this.#untilClosed(
      signal,
      (done) => this.#connection.send({ from, to }, message, (error) => done(error ?? undefined)),
      (error) => STAGES[(error as { command?: string }).command ?? ''] ?? 'data',
    );
  }

  quit(): void {
    this.#connection.quit();
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  #untilClosed(
    signal: AbortSignal,
    action: (done: (error?: Error | null) => void) => void,
    stageOf: (error: Error) => DsnStage,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (error?: Error | null) => {
        unsubscribe();
        this.#connection.off('error', finish);
        this.#connection.off('end', ended);
        if (error) reject(new HostFailure(stageOf(error), this.#refusal(), error));
        else resolve();
      };
      const ended = () => finish(new Error('the host closed the connection'));
      this.#connection.once('error', finish);
      this.#connection.once('end', ended);
      let unsubscribe = () => {};
      if (signal.aborted) finish(new Error('no reply in time'));
      else {
        unsubscribe = onAbort(signal, () => finish(new Error('no reply in time')));
        action(finish);
      }
    });
  }

  #refusal(): Reply | undefined {
    return this.#reply !== undefined && /^[45]\d\d/.test(this.#reply) ? replyOf(this.#reply) : undefined;
  }
}

const sameName = (name: string) => name.toLowerCase().replace(/\.$/, '');
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
