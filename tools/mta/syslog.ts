import * as net from 'node:net';

/**
 * A /dev/log. Node has no unix datagram sockets, but the C library's syslog(3) falls back to a stream socket and then ends
 * each record with a NUL.
 */
export class SyslogReceiver {
  readonly #server = net.createServer((socket) => this.#receive(socket));
  readonly #sockets = new Set<net.Socket>();
  #text = '';

  static async listen(path: string): Promise<SyslogReceiver> {
    const receiver = new SyslogReceiver();
    await new Promise<void>((resolve, reject) => {
      receiver.#server.once('error', reject);
      receiver.#server.listen({ path, writableAll: true }, resolve);
    });
    receiver.#server.unref();
    return receiver;
  }

  /** All records so far, one per line. */
  get text(): string {
    return this.#text;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #receive(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.unref();
    let rest = '';
    socket.on('data', (chunk) => {
      const records = (rest + chunk.toString('latin1')).split('\0');
      rest = records.pop() ?? '';
      // "<22>Jan  1 00:00:00 sendmail[7]: ...": the number in front is facility and severity
      for (const record of records) this.#text += `${record.replace(/^<\d+>/, '').trimEnd()}\n`;
    });
    socket.on('error', () => {}); // an MTA that was killed
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
