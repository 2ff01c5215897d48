/** An SMTP server on loopback whose replies a test chooses, misbehaving ones too. */
import { createServer, type Server, type Socket } from 'node:net';

/**
 * By the beginning of a command line, `greeting` or `message`: the reply, or `silence`, or `close` for the end of the
 * connection, after a reply if one follows it. A function is called instead of sending a reply.
 */
export type Script = Record<string, string | (() => void)>;

const POLITE: Script = {
  greeting: '220 script.test ESMTP',
  EHLO: '250 script.test',
  HELO: '250 script.test',
  MAIL: '250 2.1.0 Ok',
  RCPT: '250 2.1.5 Ok',
  DATA: '354 Go on',
  message: '250 2.0.0 Kept',
  QUIT: '221 2.0.0 Bye',
};

export class SmtpScript implements AsyncDisposable {
  /** Every command line, of all connections. */
  readonly commands: string[] = [];
  /** Every message, as it came. */
  readonly messages: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #script: Script;

  private constructor(script: Script) {
    this.#script = { ...POLITE, ...script };
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** @param port of 127.0.0.1 by default, 0 for one of the kernel's choice */
  static async start(script: Script = {}, port = 0, address = '127.0.0.1'): Promise<SmtpScript> {
    const server = new SmtpScript(script);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(port, address, resolve);
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    let text = '';
    let inData = false;
    this.#say(socket, 'greeting');
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (;;) {
        const mark = inData ? '\r\n.\r\n' : '\r\n';
        const end = text.indexOf(mark);
        if (end < 0) return;
        const part = text.slice(0, end);
        text = text.slice(end + mark.length);
        if (inData) {
          this.messages.push(`${part}\r\n`);
          inData = false;
          this.#say(socket, 'message');
        } else {
          this.commands.push(part);
          inData = this.#say(socket, part)?.startsWith('354') ?? false;
        }
      }
    });
  }

  #say(socket: Socket, event: string): string | undefined {
    // The longest beginning counts: `MAIL FROM:<>` before `MAIL`.
    const key = Object.keys(this.#script)
      .filter((begin) => event.startsWith(begin))
      .sort((one, other) => other.length - one.length)[0];
    const reply = key === undefined ? '500 5.5.1 Unknown' : this.#script[key];
    if (typeof reply === 'function') reply();
    if (typeof reply === 'function' || reply === 'silence') return undefined;
    if (reply === 'close') socket.destroy();
    else if (reply?.startsWith('close ')) socket.end(`${reply.slice('close '.length)}\r\n`);
    else socket.write(`${reply}\r\n`);
    return reply;
  }
}
