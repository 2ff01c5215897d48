/**
 * Over TCP, Nagle's algorithm on one side and the delayed acknowledgement on the other cost 40 ms for everything that is
 * written in two pieces. Sendmail writes macros and command that way, libmilter modifications and verdict.
 *
 * A busy machine makes some steps slow, but only the delay makes nearly all of them slow: the fast ones are counted.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { freePort } from '../../tools/free-ports';
import { hasIPv6 } from '../../tools/mta';
import { frame, offer, upTo } from '../fixtures/lifecycle/raw-peer.js';
import { FilterProcess } from '../support/filter-process.js';
import { describeUnless, itUnless } from '../support/skip.js';

const STEPS = 40;
/** Milliseconds by which the kernel delays an acknowledgement at least. */
const DELAY = 40;
/** With the delay, at most the steps at the beginning of a connection are fast. */
const FEW = STEPS / 2;

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

/** Sends MAIL commands, each with its macros before it, and aborts them; the number of those that were answered without delay. */
async function mailSteps(port: number, host: string): Promise<number> {
  using peer = new PlainPeer(port, host);
  peer.write(offer());
  expect(await peer.next()).toBe('O');
  let fast = 0;
  for (let i = 0; i < STEPS; i++) {
    const begin = performance.now();
    peer.write(frame('D', 'Mi\0queue-id\0{mail_addr}\0alice@client.example\0'));
    await nextTurn(); // a write of its own
    peer.write(frame('M', '<alice@client.example>\0'));
    expect(await peer.next()).toBe('c');
    if (performance.now() - begin < DELAY) fast++;
    peer.write(frame('A'));
  }
  return fast;
}

/** Replies as a filter would, and leaves acknowledgements to the kernel. */
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

describeUnless(
  process.platform !== 'linux' && 'TCP_QUICKACK exists on Linux only',
  'Delayed acknowledgements',
  () => {
    let filter: FilterProcess;
    let port: number;
    beforeAll(async () => {
      port = await freePort();
      filter = await FilterProcess.start('scripted', { socket: `inet:${port}@127.0.0.1` });
    });
    afterAll(() => filter?.stop());

    it('control: with a server that leaves acknowledgements to the kernel most steps are delayed', async () => {
      const server = await plainServer();
      try {
        const { port: plain } = server.address() as { port: number };
        expect(await mailSteps(plain, '127.0.0.1')).toBeLessThan(FEW);
      } finally {
        server.close();
      }
    });

    it('macros and command in two writes, as Sendmail sends them, are not delayed', async () => {
      await filter.use({ handlers: { envfrom: {} }, quiet: ['envfrom'] });
      expect(await mailSteps(port, '127.0.0.1')).toBeGreaterThan(FEW);
    });

    it('many connections at once are not delayed, including those that come later', async () => {
      await filter.use({ handlers: { envfrom: {} }, quiet: ['envfrom'] });
      const all: Promise<number>[] = [];
      for (let i = 0; i < 10; i++) {
        all.push(mailSteps(port, '127.0.0.1'));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      for (const fast of await Promise.all(all)) expect(fast).toBeGreaterThan(FEW);
    });

    it('modifications and verdict are not delayed', async () => {
      const addheader = ['addheader', 'X-A', '1'] as const;
      await filter.use({ handlers: { eom: { call: [addheader, addheader, addheader] } }, quiet: ['eom'] });
      using peer = new PlainPeer(port, '127.0.0.1');
      const [negotiation, greeting] = [offer(), upTo('helo').subarray(offer().length)];
      peer.write(negotiation);
      expect(await peer.next()).toBe('O');
      peer.write(greeting);
      let fast = 0;
      for (let i = 0; i < STEPS; i++) {
        const begin = performance.now();
        peer.write(Buffer.concat([frame('M', '<a@b.example>\0'), frame('R', '<c@d.example>\0'), frame('E')]));
        let commands = '';
        do commands += await peer.next();
        while (!commands.endsWith('hc'));
        expect(commands).toMatch(/hhhc$/);
        if (performance.now() - begin < DELAY) fast++;
      }
      expect(fast).toBeGreaterThan(FEW);
    });

    itUnless(!hasIPv6 && 'this machine has no ::1', 'IPv6 is not delayed', async () => {
      const own = await freePort();
      await using six = await FilterProcess.start('scripted', { socket: `inet6:${own}@[::1]` });
      await six.use({ handlers: { envfrom: {} }, quiet: ['envfrom'] });
      expect(await mailSteps(own, '::1')).toBeGreaterThan(FEW);
    });
  },
);
