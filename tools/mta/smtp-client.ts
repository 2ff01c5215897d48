import * as net from 'node:net';
import { decodeSmtp } from './smtp-text';

/** The server's reply to one step. */
export interface Reply {
  readonly code: number;
  /** The text of each line, without the code in front. */
  readonly lines: readonly string[];
  /** The same as one string, lines separated by LF. */
  readonly text: string;
  /** As it came, with codes and line ends. */
  readonly raw: Buffer;
}

export interface ClientOptions {
  /** The address to connect from, such as 127.0.0.2. Default: the kernel's choice. */
  readonly localAddress?: string;
  /** Milliseconds to wait for each reply. Default: 90,000, longer than the MTAs wait for a filter's reply. */
  readonly timeoutMs?: number;
}

export interface Envelope {
  /** Without angle brackets. */
  readonly from: string;
  readonly to: string | readonly string[];
  readonly data: Buffer | string;
  /** Sent with EHLO if the connection has had no EHLO or HELO yet. Default: `client.test`. */
  readonly helo?: string;
  /** Added to MAIL FROM:<...>, such as `BODY=8BITMIME SMTPUTF8`. */
  readonly mailParams?: string;
  /** Added to each RCPT TO:<...>. */
  readonly rcptParams?: string;
}

/** The reply to each step that was sent. The first refusal ends the message, so later replies may be absent. */
export interface SendReplies {
  readonly ehlo?: Reply;
  readonly mail?: Reply;
  /** One for each recipient. */
  readonly rcpt: readonly Reply[];
  /** To the DATA command. */
  readonly data?: Reply;
  /** To the final dot. */
  readonly message?: Reply;
  /** To the last step: the one that failed, or the final dot. */
  readonly last: Reply;
}

/** An SMTP client that sends exactly the given bytes and returns replies as they came. */
export class SmtpClient {
  /** The server's greeting. */
  greeting!: Reply;
  readonly #socket: net.Socket;
  readonly #where: string;
  readonly #timeoutMs: number;
  #introduced = false;
  #received = Buffer.alloc(0);
  #over: string | undefined;
  #wake: () => void = () => {};

  /** Connects and reads the greeting, whatever its code. */
  static async open(host: string, port: number, options: ClientOptions = {}): Promise<SmtpClient> {
    const { localAddress, timeoutMs = 90_000 } = options;
    const socket = net.connect({ host, port, noDelay: true, ...(localAddress && { localAddress }) });
    const client = new SmtpClient(socket, `${host}:${port}`, timeoutMs);
    try {
      client.greeting = await client.reply('the greeting');
    } catch (error) {
      client.destroy();
      throw error;
    }
    return client;
  }

  /** Opens a connection, sends one message and quits. */
  static async submit(
    { host, port }: { readonly host: string; readonly port: number },
    envelope: Envelope,
    options: ClientOptions = {},
  ): Promise<SendReplies> {
    const client = await SmtpClient.open(host, port, options);
    try {
      const replies = await client.send(envelope);
      // after a 421 the server has closed the connection
      if (replies.last.code !== 421) await client.quit();
      return replies;
    } finally {
      client.destroy();
    }
  }

  private constructor(socket: net.Socket, where: string, timeoutMs: number) {
    this.#socket = socket;
    this.#where = where;
    this.#timeoutMs = timeoutMs;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const over = (reason: string) => {
      this.#over ??= reason;
      this.#wake();
    };
    socket.on('error', (error) => over(error.message));
    socket.on('end', () => over('the server closed the connection'));
    socket.on('close', () => over('the connection is closed'));
  }

  /** Whether the connection has ended. Replies that came before can still be read. */
  get closed(): boolean {
    return this.#over !== undefined;
  }

  /** Sends a line and waits for its reply. A string is sent as UTF-8; CRLF is added. */
  async command(line: string | Buffer): Promise<Reply> {
    this.write(Buffer.concat([Buffer.from(line), Buffer.from('\r\n')]));
    const text = decodeSmtp(Buffer.from(line));
    const reply = await this.reply(`the reply to '${text}'`);
    if (/^(EHLO|HELO) /i.test(text) && reply.code === 250) this.#introduced = true;
    // XCLIENT begins a new session, which has had no EHLO yet
    if (/^XCLIENT /i.test(text) && reply.code === 220) this.#introduced = false;
    return reply;
  }

  /**
   * Sends DATA and, after a 354, the message. Dots are stuffed and a missing final CRLF is added; other line ends must be
   * CRLF already. Resolves to the reply to the final dot, or to DATA if it was refused.
   */
  async data(message: Buffer | string): Promise<Reply> {
    const go = await this.command('DATA');
    return go.code === 354 ? this.content(message) : go;
  }

  /** The second half of {@link data}, for use after `command('DATA')`. */
  async content(message: Buffer | string): Promise<Reply> {
    this.write(stuff(Buffer.from(message)));
    return this.reply('the reply to the final dot');
  }

  /** Sends one message, from MAIL to the final dot, and EHLO before it if the connection has had none. */
  async send(envelope: Envelope): Promise<SendReplies> {
    const { from, to, data, helo = 'client.test', mailParams, rcptParams } = envelope;
    const steps: { ehlo?: Reply; mail?: Reply; rcpt: Reply[]; data?: Reply; message?: Reply } = { rcpt: [] };
    // only once: Sendmail slows down a client that repeats it
    if (!this.#introduced) {
      steps.ehlo = await this.command(`EHLO ${helo}`);
      if (steps.ehlo.code >= 400) return { ...steps, last: steps.ehlo };
    }
    steps.mail = await this.command(`MAIL FROM:<${from}>${mailParams ? ` ${mailParams}` : ''}`);
    if (steps.mail.code >= 400) return { ...steps, last: steps.mail };
    let last = steps.mail;
    for (const address of typeof to === 'string' ? [to] : to) {
      last = await this.command(`RCPT TO:<${address}>${rcptParams ? ` ${rcptParams}` : ''}`);
      steps.rcpt.push(last);
      if (last.code === 421) return { ...steps, last }; // the server has closed the connection
    }
    if (!steps.rcpt.some(({ code }) => code < 400)) return { ...steps, last };
    steps.data = await this.command('DATA');
    if (steps.data.code !== 354) return { ...steps, last: steps.data };
    steps.message = await this.content(data);
    return { ...steps, last: steps.message };
  }

  async quit(): Promise<Reply> {
    const reply = await this.command('QUIT');
    this.#socket.end();
    return reply;
  }

  /** Closes the connection without QUIT. */
  destroy(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** Sends bytes without waiting, as in a pipeline; {@link reply} then reads the replies. */
  write(bytes: Buffer | string): void {
    this.#socket.write(bytes);
  }

  /** The next reply. `what` names it in the error if it does not come. */
  async reply(what = 'a reply'): Promise<Reply> {
    let expired = false;
    const timer = setTimeout(() => {
      expired = true;
      this.#wake();
    }, this.#timeoutMs);
    try {
      for (;;) {
        const reply = this.#takeReply();
        if (reply) return reply;
        const reason = expired ? `not within ${this.#timeoutMs} ms` : this.#over;
        if (reason) throw new Error(`${what} from ${this.#where} did not come: ${reason}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Takes the first reply that was received, if it is complete: its last line has no hyphen. */
  #takeReply(): Reply | undefined {
    const lines: string[] = [];
    let start = 0;
    for (;;) {
      const end = this.#received.indexOf('\r\n', start);
      if (end < 0) return undefined;
      const line = this.#received.subarray(start, end);
      start = end + 2;
      const [, code, hyphen] = /^(\d{3})(-?)/.exec(line.toString('latin1', 0, 4)) ?? [];
      if (!code) throw new Error(`not an SMTP reply from ${this.#where}: '${decodeSmtp(line)}'`);
      lines.push(decodeSmtp(line.subarray(4)));
      if (hyphen) continue;
      const raw = this.#received.subarray(0, start);
      this.#received = this.#received.subarray(start);
      return { code: Number(code), lines, text: lines.join('\n'), raw };
    }
  }
}

/** Message data as SMTP carries it: a dot that begins a line is doubled, and a line with a single dot ends the data. */
function stuff(message: Buffer): Buffer {
  // latin1 keeps every byte
  const text = message.toString('latin1').replace(/(^|\r\n)\./g, '$1..');
  const end = text === '' || text.endsWith('\r\n') ? '.\r\n' : '\r\n.\r\n';
  return Buffer.from(text + end, 'latin1');
}
