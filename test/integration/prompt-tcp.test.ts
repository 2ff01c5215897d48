/**
 * Over TCP, Nagle's algorithm on one side against the delayed acknowledgement on the other costs 40 ms each time that
 * something is written in two pieces. Sendmail writes macros and command so, libmilter modifications and verdict.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { freePort, hasIPv6 } from '../../tools/mta';
import { frame, offer, upTo } from '../fixtures/lifecycle/raw-peer.js';
import { FilterProcess } from '../support/filter-process.js';
import { describeUnless, itUnless } from '../support/skip.js';

const STEPS = 20;
/** Milliseconds that the kernel holds an acknowledgement back at least. */
const DELAY = 40;
/** Milliseconds for all steps of a connection: a small part of the delays that there would be. */
const SOON = (STEPS * DELAY) / (process.env.MILTER_SANITIZER ? 2 : 4);

/** An MTA on TCP that writes as Sendmail does, with Nagle's algorithm. */
class PlainPeer implements Disposable {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #wake: () => void = () => {};
  #failure: Error | undefined;

  constructor(port: number, host: string) {
    this.#socket = connect({ port, host, noDelay: false });
    this.#socket.on('data', (data) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    const fail = (error: Error) => {
      this.#failure ??= error;
      this.#wake();
    };
    this.#socket.on('error', fail).on('close', () => fail(new Error('closed')));
  }

  write(data: Buffer): void {
    this.#socket.write(data);
  }

  /** The command of the next frame. */
  async next(): Promise<string> {
    for (;;) {
      const length = this.#received.length < 5 ? Infinity : this.#received.readUInt32BE(0) + 4;
      if (this.#received.length >= length) {
        const command = String.fromCharCode(this.#received[4] as number);
        this.#received = this.#received.subarray(length);
        return command;
      }
      if (this.#failure) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** Milliseconds for so many MAIL commands, each with its macros before it, and aborted afterwards. */
async function mailSteps(port: number, host: string): Promise<number> {
  using peer = new PlainPeer(port, host);
  peer.write(offer());
  expect(await peer.next()).toBe('O');
  const begin = performance.now();
  for (let i = 0; i < STEPS; i++) {
    peer.write(frame('D', 'Mi\0queue-id\0{mail_addr}\0alice@client.example\0'));
    await nextTurn(); // a write of its own
    peer.write(frame('M', '<alice@client.example>\0'));
    expect(await peer.next()).toBe('c');
    peer.write(frame('A'));
  }
  return performance.now() - begin;
}

/** Answers as a filter would, and does nothing about acknowledgements. */
function plainServer(): Promise<Server> {
  const server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      while (received.length >= 5 && received.length >= received.readUInt32BE(0) + 4) {
        const command = String.fromCharCode(received[4] as number);
        received = received.subarray(received.readUInt32BE(0) + 4);
        if (command === 'O') socket.write(offer());
        if (command === 'M') socket.write(frame('c'));
      }
    });
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

describeUnless(process.platform !== 'linux' && 'TCP_QUICKACK is of Linux', 'TCP is not held back', () => {
  let filter: FilterProcess;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    filter = await FilterProcess.start('scripted', { socket: `inet:${port}@127.0.0.1` });
  });
  afterAll(() => filter?.stop());

  it('the control: a server that leaves it to the kernel waits at nearly every step', async () => {
    const server = await plainServer();
    try {
      const { port: plain } = server.address() as { port: number };
      const took = await mailSteps(plain, '127.0.0.1');
      expect(took).toBeGreaterThan((STEPS * DELAY) / 2);
    } finally {
      server.close();
    }
  });

  it('macros and command in two writes, as Sendmail has it', async () => {
    await filter.use({ handlers: { envfrom: {} }, quiet: ['envfrom'] });
    const took = await mailSteps(port, '127.0.0.1');
    expect(took).toBeLessThan(SOON);
  });

  it('many connections at once, those that come later too', async () => {
    await filter.use({ handlers: { envfrom: {} }, quiet: ['envfrom'] });
    const all: Promise<number>[] = [];
    for (let i = 0; i < 10; i++) {
      all.push(mailSteps(port, '127.0.0.1'));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const slowest = Math.max(...(await Promise.all(all)));
    expect(slowest).toBeLessThan(SOON);
  });

  it('modifications and verdict', async () => {
    const addheader = ['addheader', 'X-A', '1'] as const;
    await filter.use({ handlers: { eom: { call: [addheader, addheader, addheader] } }, quiet: ['eom'] });
    using peer = new PlainPeer(port, '127.0.0.1');
    const [negotiation, greeting] = [offer(), upTo('helo').subarray(offer().length)];
    peer.write(negotiation);
    expect(await peer.next()).toBe('O');
    peer.write(greeting);
    const begin = performance.now();
    for (let i = 0; i < STEPS; i++) {
      peer.write(Buffer.concat([frame('M', '<a@b.example>\0'), frame('R', '<c@d.example>\0'), frame('E')]));
      let commands = '';
      do commands += await peer.next();
      while (!commands.endsWith('hc'));
      expect(commands).toMatch(/hhhc$/);
    }
    const took = performance.now() - begin;
    expect(took).toBeLessThan(SOON);
  });

  itUnless(!hasIPv6 && 'this machine has no ::1', 'IPv6', async () => {
    const own = await freePort();
    await using six = await FilterProcess.start('scripted', { socket: `inet6:${own}@[::1]` });
    await six.use({ handlers: { envfrom: {} }, quiet: ['envfrom'] });
    const took = await mailSteps(own, '::1');
    expect(took).toBeLessThan(SOON);
  });
});
