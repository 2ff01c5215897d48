import * as net from 'node:net';

/**
 * A unix socket that is forwarded to a TCP port of 127.0.0.1.
 *
 * Sendmail writes the final dot separately from the message, and TCP holds it back until the message is acknowledged, which
 * takes 40 ms: Nagle's algorithm meets the delayed acknowledgement. Neither can be turned off from here, but unix sockets
 * have neither.
 */
export class Relay {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  static async listen(path: string, port: number): Promise<Relay> {
    const relay = new Relay(port);
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject);
      relay.#server.listen(path, resolve);
    });
    relay.#server.unref();
    return relay;
  }

  private constructor(port: number) {
    this.#server = net.createServer((near) => {
      const far = net.connect({ host: '127.0.0.1', port, noDelay: true });
      this.#join(near, far);
      this.#join(far, near);
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(from: net.Socket, to: net.Socket): void {
    this.#sockets.add(from);
    from.unref();
    from.pipe(to);
    // an error on one side ends the other: a sink that has stopped, an MTA that was killed
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.end();
    });
  }
}
