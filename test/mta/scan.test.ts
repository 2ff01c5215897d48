/** The clients of content scanners, against the real ones and against servers that misbehave. */
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Clamd, Rspamd, ScanError, Spamd } from 'tsmilter/scan';
import { freePort } from '../../tools/free-ports';
import { EICAR, type Scanner, SPAM_SUBJECT, startClamd, startRspamd, startSpamd } from '../../tools/scanners';
import { until } from '../../tools/wait';
import { errorWith } from '../support/expect';

const mail = (subject: string, body = 'hello\r\n') =>
  Buffer.from(`From: <a@src.test>\r\nTo: <b@dest.test>\r\nSubject: ${subject}\r\n\r\n${body}`);

/** The bytes in small pieces, as a stream gives them. */
async function* inPieces(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const failure = (reason: string) => errorWith({ code: 'ERR_MILTER_SCAN', reason }, ScanError);

describe.each([
  ['a unix socket', false],
  ['TCP', true],
])('clamd on %s', (_, tcp) => {
  let server: Scanner;
  let clamd: Clamd;
  beforeAll(async () => {
    server = await startClamd({ tcp, maxStream: 1_000_000 });
    clamd = new Clamd(tcp ? { port: server.port as number } : { path: server.path as string });
  });
  afterAll(() => server?.stop());

  it('finds a virus, in bytes and in a stream', async () => {
    const infected = mail('x', EICAR);
    const expected = { infected: true, virus: 'Test.Eicar.UNOFFICIAL' };
    expect(await clamd.scan(infected)).toStrictEqual(expected);
    expect(await clamd.scan(inPieces(infected, 7))).toStrictEqual(expected);
    const attached = mail('x', `\r\n${'x'.repeat(76)}\r\n`.repeat(1000));
    expect(await clamd.scan(inPieces(attached))).toStrictEqual({ infected: false });
    expect(await clamd.scan(Buffer.alloc(0))).toStrictEqual({ infected: false });
  });

  it('says its version, and that it is there', async () => {
    await clamd.ping();
    expect(await clamd.version()).toMatch(/^ClamAV \d/);
  });

  it('has a limit of its own', async () => {
    const error = await clamd
      .scan(inPieces(Buffer.alloc(3_000_000), 64_000))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ScanError);
    // clamd hangs up while it is sent more, and the system may drop its answer then.
    expect((error as ScanError).reason).toMatch(/^(too large|unreachable)$/);
  });

  it('serves many scans over few connections', async () => {
    const few = new Clamd({
      ...(tcp ? { port: server.port as number } : { path: server.path as string }),
      maxConnections: 2,
    });
    const results = await Promise.all(
      Array.from({ length: 30 }, (_unused, i) => few.scan(mail('x', i % 2 ? EICAR : 'clean'))),
    );
    expect(results.map(({ infected }) => infected)).toStrictEqual(results.map((_unused, i) => i % 2 === 1));
  });
});

describe('spamd', () => {
  let server: Scanner;
  let spamd: Spamd;
  beforeAll(async () => {
    server = await startSpamd();
    spamd = new Spamd({ path: server.path as string, timeout: 120_000 });
  });
  afterAll(() => server?.stop());

  it('gives score and rules, or a report', async () => {
    expect(await spamd.check(inPieces(mail(SPAM_SUBJECT), 10))).toMatchObject({
      spam: true,
      required: 5,
      rules: ['SELLS'],
      report: null,
    });
    expect(await spamd.check(mail('hello'))).toMatchObject({ spam: false, rules: [] });
    const { report, spam } = await spamd.check(mail(SPAM_SUBJECT), { report: true });
    expect(spam).toBe(true);
    expect(report).toContain('Sells something');
  });

  it('learns', async () => {
    const message = mail('a message', 'with some words that nobody knows yet\r\n');
    expect(await spamd.learn(message, 'ham')).toBe(true);
    expect(await spamd.learn(message, 'ham')).toBe(false);
    await spamd.ping();
  });

  it('gets no line from a user’s name', async () => {
    await expect(spamd.check(mail('x'), { user: 'a\r\nX: y' })).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
  });
});

describe('rspamd', () => {
  let server: Awaited<ReturnType<typeof startRspamd>>;
  let rspamd: Rspamd;
  beforeAll(async () => {
    server = await startRspamd();
    rspamd = new Rspamd({ port: server.port as number });
  });
  afterAll(async () => {
    rspamd?.close();
    await server?.stop();
  });

  it('gives action, score and symbols, and knows the envelope', async () => {
    const envelope = {
      ip: '192.0.2.7',
      helo: 'h.test',
      from: 'grüße\r\nIp: 1.2.3.4@src.test',
      rcpt: ['b@dest.test', 'c@dest.test'],
      queueId: 'Q1',
    };
    const result = await rspamd.check(inPieces(mail(SPAM_SUBJECT), 10), envelope);
    expect(result).toMatchObject({ action: 'reject', score: 20, required: 15 });
    const [symbol] = result.symbols;
    expect(symbol).toMatchObject({ name: 'SELLS', score: 20, description: 'Sells something' });
    expect(symbol?.options).toEqual(expect.arrayContaining(['192.0.2.7', 'h.test', 'Q1']));
    expect(await rspamd.check(mail('hello'))).toMatchObject({ action: 'no action', symbols: [] });
  });

  it('learns', async () => {
    const controller = new Rspamd({ port: server.controller, password: server.password });
    const message = mail(
      'a message',
      `${Array.from({ length: 50 }, (_, nth) => `word${nth}`).join(' ')}\r\n`,
    );
    expect(await controller.learn(message, 'spam')).toBe(true);
    expect(await controller.learn(message, 'spam')).toBe(false);
    controller.close();
  });

  it('refuses to learn without the password', async () => {
    const controller = new Rspamd({ port: server.controller, password: 'wrong' });
    await expect(controller.learn(mail('x'), 'spam')).rejects.toThrow(failure('refused'));
    controller.close();
  });
});

describe('a scanner', () => {
  /** A server that does the same to each connection. */
  async function serverOf(
    serve: (socket: Socket) => void,
  ): Promise<Server & AsyncDisposable & { port: number }> {
    const port = await freePort();
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
      serve(socket);
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return Object.assign(server, {
      port,
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    });
  }

  const CLIENTS = [
    ['clamd', (port: number, timeout: number) => new Clamd({ port, timeout, maxConnections: 1 })],
    ['spamd', (port: number, timeout: number) => new Spamd({ port, timeout, maxConnections: 1 })],
    ['rspamd', (port: number, timeout: number) => new Rspamd({ port, timeout, maxConnections: 1 })],
  ] as const;
  const ask = (
    client: Clamd | Spamd | Rspamd,
    source = inPieces(mail('x')),
    options: { signal?: AbortSignal } = {},
  ) => (client instanceof Clamd ? client.scan(source, options) : client.check(source, options));

  describe.each(CLIENTS)('%s', (_, make) => {
    it('that is not there is told so', async () => {
      await expect(ask(make(await freePort(), 30_000))).rejects.toThrow(failure('unreachable'));
    });

    it('that does not answer is given up, and the next scan has its connection', async () => {
      let silent = true;
      await using server = await serverOf((socket) => {
        socket.resume();
        if (!silent) socket.destroy();
      });
      const client = make(server.port, 200);
      const waiting = ask(client);
      await expect(ask(client)).rejects.toThrow(failure('timeout'));
      await expect(waiting).rejects.toThrow(failure('timeout'));
      silent = false;
      await expect(ask(client)).rejects.toThrow(failure('unreachable'));
    });

    it.each([
      ['says nothing of its protocol', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]'],
      ['says nothing at all', ''],
      ['talks without end', 'x'.repeat(70_000)],
    ])('that %s is no result', async (_unused, answer) => {
      await using server = await serverOf((socket) => {
        socket.resume();
        const talk = () => {
          if (answer.length < 1000) socket.end(answer);
          else if (socket.writable) socket.write(answer, talk);
        };
        talk();
      });
      await expect(ask(make(server.port, 30_000))).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_SCAN' }, ScanError),
      );
    });

    it('is not asked about a message that is too large', async () => {
      await using server = await serverOf((socket) => socket.resume());
      const { port } = server;
      const [client] = [make(port, 30_000)].map((made) =>
        made instanceof Clamd
          ? new Clamd({ port, maxSize: 100 })
          : made instanceof Spamd
            ? new Spamd({ port, maxSize: 100 })
            : new Rspamd({ port, maxSize: 100 }),
      );
      await expect(ask(client as Clamd, inPieces(Buffer.alloc(1000), 50))).rejects.toThrow(
        failure('too large'),
      );
    });

    it('is left when the caller’s signal says so', async () => {
      let connected = 0;
      await using server = await serverOf((socket) => {
        connected++;
        socket.resume();
      });
      const abort = new AbortController();
      const scan = ask(make(server.port, 30_000), inPieces(mail('x')), { signal: abort.signal });
      await until('a connection', () => connected > 0);
      await sleep(1);
      abort.abort(new Error('the client has gone'));
      await expect(scan).rejects.toThrow('the client has gone');
    });

    it('whose source fails is left with that error', async () => {
      await using server = await serverOf((socket) => socket.resume());
      async function* broken(): AsyncGenerator<Buffer> {
        yield Buffer.from('x');
        throw new Error('the disk is broken');
      }
      await expect(ask(make(server.port, 30_000), broken())).rejects.toThrow('the disk is broken');
    });
  });

  it.each([
    ['path and port', () => new Clamd({ path: '/x', port: 1 })],
    ['an unknown option', () => new Spamd({ hosts: 'x' } as object)],
    ['a port of 0', () => new Rspamd({ port: 0 })],
    ['a user of two lines', () => new Spamd({ user: 'a\nb' })],
  ])('is not made with %s', (_, make) => {
    expect(make).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });
});
