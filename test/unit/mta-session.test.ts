/**
 * MtaSession against small fake filters: the exact bytes both ways, and what happens when a filter
 * misbehaves.
 *
 * A fake filter is a node:net server that answers each frame with what the test's script says, so that
 * nothing here needs libmilter. test/integration runs MtaSession against the real one.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  Actions,
  MilterError,
  MtaSession,
  type MtaSessionOptions,
  Protocol,
  type Response,
} from 'tsmilter/testing';
import { hasIPv6 } from '../../tools/mta';
import { errorWith, expectThat } from '../support/expect';
import { FakeTimeouts, localDelivery, turnsUntil } from '../support/fake-timeouts';
import { itUnless } from '../support/skip';

/** A frame as it stands on the wire. */
function frame(command: string, payload: string | Buffer = ''): Buffer {
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(payload, 'latin1');
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length + 1, 0);
  head.write(command, 4, 'latin1');
  return Buffer.concat([head, bytes]);
}

function u32(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (const [i, number] of numbers.entries()) bytes.writeUInt32BE(number >>> 0, i * 4);
  return bytes;
}

/** A filter's answer to the negotiation. */
function answer(
  protocol: number,
  options: { version?: number; actions?: number; symlists?: Buffer } = {},
): Buffer {
  const { version = 6, actions = 0x1ff, symlists = Buffer.alloc(0) } = options;
  return frame('O', Buffer.concat([u32(version, actions, protocol), symlists]));
}

interface Seen {
  command: string;
  payload: string;
}

/** What a fake filter does with a frame: bytes to send, 'close' to hang up, nothing to stay silent. */
type Script = (frame: Seen, count: number) => Buffer | 'close' | undefined;

const CONTINUE = frame('c');
/** Commands that are never answered. */
const SILENT = 'DAKQ';

/** Continues with everything, after the answer to the negotiation that it is given. */
function continues(negotiation: Buffer): Script {
  return ({ command }) => {
    if (command === 'O') return negotiation;
    return SILENT.includes(command) ? undefined : CONTINUE;
  };
}

/** Negotiates with `protocol`, then continues with everything but what is special. */
function friendly(protocol: number, special: Record<string, Buffer | 'close' | undefined> = {}): Script {
  const usual = continues(answer(protocol));
  return (seen, count) => (seen.command in special ? special[seen.command] : usual(seen, count));
}

class FakeFilter implements AsyncDisposable {
  /** Every byte that came, one Buffer per connection. */
  readonly received: Buffer[] = [];
  /** Every frame that came, payloads as latin1. */
  readonly frames: Seen[] = [];
  /** How many pieces the bytes came in. */
  reads = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #directory: string;

  private constructor(directory: string, script: Script) {
    this.#directory = directory;
    this.#server = createServer((socket) => {
      const index = this.received.push(Buffer.alloc(0)) - 1;
      let rest = Buffer.alloc(0);
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        this.reads++;
        this.received[index] = Buffer.concat([this.received[index] as Buffer, chunk]);
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
          const end = 4 + rest.readUInt32BE(0);
          const seen = { command: rest.toString('latin1', 4, 5), payload: rest.toString('latin1', 5, end) };
          rest = rest.subarray(end);
          const reaction = script(seen, this.frames.push(seen));
          if (reaction === 'close') socket.destroy();
          else if (reaction !== undefined) socket.write(reaction);
          if (seen.command === 'Q') socket.end();
        }
      });
    });
  }

  static async start(script: Script, where: 'unix' | 'inet' | 'inet6' = 'unix'): Promise<FakeFilter> {
    const filter = new FakeFilter(await mkdtemp(join(tmpdir(), 'mta-session-')), script);
    if (where === 'unix') filter.#server.listen(filter.path);
    else filter.#server.listen(0, where === 'inet' ? '127.0.0.1' : '::1');
    await once(filter.#server, 'listening');
    return filter;
  }

  get path(): string {
    return join(this.#directory, 'sock');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The frames since the negotiation, as `M<a@b>\0`. */
  get said(): string[] {
    return this.frames.slice(1).map(({ command, payload }) => command + payload);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Starts a filter that is nothing but a function of its socket, and hands its path to `body`. */
async function withServer(
  onSocket: (socket: Socket) => void,
  body: (path: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'mta-session-'));
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  const path = join(directory, 'sock');
  server.listen(path);
  await once(server, 'listening');
  try {
    await body(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(directory, { recursive: true });
  }
}

/** Runs `body` with a session on a filter that follows `script`. */
async function withSession(
  script: Script,
  body: (session: MtaSession, filter: FakeFilter) => Promise<void>,
  options: MtaSessionOptions = {},
): Promise<void> {
  await using filter = await FakeFilter.start(script);
  await using session = await MtaSession.open(`unix:${filter.path}`, { ...options });
  await body(session, filter);
}

async function everyNegotiableStep(session: MtaSession): Promise<Response[]> {
  return [
    await session.connect('a'),
    await session.helo('a'),
    await session.unknown('a'),
    await session.mail('a'),
    await session.rcpt('a'),
    await session.data(),
    await session.header('a', 'b'),
    await session.eoh(),
    await session.body('a'),
  ];
}

const failsWith = (code: string, message: RegExp) => errorWith({ code, message }, MilterError);

const NR_ALL =
  Protocol.NR_CONN |
  Protocol.NR_HELO |
  Protocol.NR_MAIL |
  Protocol.NR_RCPT |
  Protocol.NR_DATA |
  Protocol.NR_UNKN |
  Protocol.NR_HDR |
  Protocol.NR_EOH |
  Protocol.NR_BODY;

describe('MtaSession: opening', () => {
  it('understands libmilter’s notations of a socket', async () => {
    await using unix = await FakeFilter.start(friendly(0));
    await using inet = await FakeFilter.start(friendly(0), 'inet');
    const specs = [unix.path, `unix:${unix.path}`, `local:${unix.path}`];
    specs.push(`inet:${inet.port}@127.0.0.1`, `inet:${inet.port}`, `inet:${inet.port}@localhost`);
    for (const spec of specs) {
      const session = await MtaSession.open(spec);
      expectThat(await session.helo('a'), spec).toStrictEqual({ verdict: 'continue' });
      await session.quit();
    }
  });

  itUnless(!hasIPv6 && 'this machine has no ::1', 'connects over IPv6', async () => {
    await using filter = await FakeFilter.start(friendly(0), 'inet6');
    for (const host of ['', '@::1', '@[::1]']) {
      await using session = await MtaSession.open(`inet6:${filter.port}${host}`);
      expect((await session.helo('a')).verdict).toBe('continue');
    }
  });

  for (const spec of [
    '',
    'unix:',
    'inet:',
    'inet:smtp@localhost',
    'inet:0',
    'inet:70000',
    'fd:3',
    'tcp:1@a',
  ]) {
    it(`refuses the socket '${spec}'`, async () => {
      await expect(MtaSession.open(spec)).rejects.toThrow(failsWith('ERR_MILTER_BAD_SOCKET', /socket/));
    });
  }

  it('passes on the system’s error if nothing listens', async () => {
    await expect(MtaSession.open('/nonexistent/sock')).rejects.toThrow(errorWith({ code: 'ENOENT' }));
  });

  it('with retry, keeps trying until the filter listens, but not longer than timeout', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mta-session-'));
    const path = join(directory, 'late');
    await expect(MtaSession.open(path, { retry: true, timeout: 50 })).rejects.toThrow(
      errorWith({ code: 'ENOENT' }),
    );
    const opening = MtaSession.open(path, { retry: true });
    const server = createServer((socket) => socket.once('data', () => socket.write(answer(0))));
    setTimeout(() => server.listen(path), 50);
    const session = await opening;
    expect(session.negotiated.version).toBe(6);
    session.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });

  for (const options of [{ timeout: -1 }, { timeout: Number.NaN }, { chunkSize: 0 }, { maxFrameSize: 1.5 }]) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      const name = Object.keys(options)[0] as string;
      await expect(MtaSession.open('/nonexistent', options)).rejects.toThrow(
        failsWith('ERR_MILTER_BAD_ARGUMENT', new RegExp(name)),
      );
    });
  }
});

describe('MtaSession: negotiation', () => {
  it('offers version 6 with everything by default', async () => {
    await withSession(friendly(0), async (_, filter) => {
      expect(filter.received[0]).toStrictEqual(frame('O', u32(6, 0x1ff, 0x1fffff)));
    });
  });

  it('offers version 2 with everything that this version knows', async () => {
    await withSession(
      continues(answer(0, { version: 2, actions: 0x3f })),
      async (session, filter) => {
        expect(filter.received[0]).toStrictEqual(frame('O', u32(2, 0x3f, 0x7f)));
        expect(await session.unknown('FOO')).toStrictEqual({ verdict: 'skipped' });
        expect(await session.data()).toStrictEqual({ verdict: 'skipped' });
        expect(await session.helo('a')).toStrictEqual({ verdict: 'continue' });
        expect(filter.said).toStrictEqual(['Ha\0']);
      },
      { version: 2 },
    );
  });

  it('sends unknown but not data to a filter of version 3', async () => {
    await withSession(continues(answer(0, { version: 3 })), async (session, filter) => {
      expect((await session.unknown('FOO')).verdict).toBe('continue');
      expect((await session.data()).verdict).toBe('skipped');
      expect(filter.said).toStrictEqual(['UFOO\0']);
    });
  });

  it('makes any given offer', async () => {
    const offer = { version: 6, actions: Actions.ADDHDRS, protocol: Protocol.SKIP | Protocol.MDS_1M };
    await withSession(
      continues(answer(Protocol.MDS_1M, { actions: Actions.ADDHDRS })),
      async (session, filter) => {
        expect(filter.received[0]).toStrictEqual(frame('O', u32(6, 1, 0x20000400)));
        expect(session.negotiated).toStrictEqual({
          version: 6,
          actions: 1,
          protocol: 0x20000000,
          symlists: {},
        });
      },
      offer,
    );
  });

  it('exposes the filter’s symbol lists', async () => {
    const symlists = Buffer.concat([
      u32(0),
      Buffer.from('j {client_addr}\0'),
      u32(5),
      Buffer.from('\0'),
      u32(6),
      Buffer.from('i, {x}\0'),
    ]);
    await withSession(continues(answer(0, { symlists })), async (session) => {
      expect(session.negotiated.symlists).toStrictEqual({
        connect: ['j', '{client_addr}'],
        eom: [],
        eoh: ['i', '{x}'],
      });
    });
  });

  const bad: [string, Buffer, RegExp][] = [
    ['rights that were not offered', answer(0, { actions: 0x3ff }), /actions 0x200/],
    ['protocol bits that were not offered', answer(0x1fffff | 0x10000000), /protocol bits 0x10000000/],
    ['a version above the offer', answer(0, { version: 7 }), /version 7/],
    ['version 1', answer(0, { version: 1 }), /version 1/],
    ['an answer cut short', frame('O', u32(6, 0)), /8 bytes/],
    ['a symbol list cut short', answer(0, { symlists: Buffer.from([0, 0, 0, 0, 0x6a]) }), /cut off/],
    [
      'a symbol list for stage 7',
      answer(0, { symlists: Buffer.concat([u32(7), Buffer.from('j\0')]) }),
      /stage 7/,
    ],
    ['another frame', CONTINUE, /'c'.*negotiation/],
  ];
  for (const [what, bytes, message] of bad) {
    it(`refuses ${what}`, async () => {
      await using filter = await FakeFilter.start(() => bytes);
      await expect(MtaSession.open(filter.path)).rejects.toThrow(failsWith('ERR_MILTER_PROTOCOL', message));
    });
  }

  it('leaves the negotiation to the caller with negotiate: false', async () => {
    await withSession(
      friendly(0),
      async (session, filter) => {
        expect(() => session.negotiated).toThrow(failsWith('ERR_MILTER_PROTOCOL', /negotiated/));
        await session.sendFrame('O', u32(6, 0x1ff, 0));
        expect(await session.readFrame()).toStrictEqual({ command: 'O', payload: u32(6, 0x1ff, 0) });
        expect(filter.frames).toHaveLength(1);
        expect((await session.negotiate()).version).toBe(6);
      },
      { negotiate: false },
    );
  });
});

describe('MtaSession: steps on the wire', () => {
  it('sends each step as Sendmail does', async () => {
    await withSession(friendly(0), async (session, filter) => {
      await session.connect('[192.0.2.1]', { family: 'inet', address: '192.0.2.1', port: 0x1234 });
      await session.connect('six', { family: 'inet6', address: 'IPv6:::1', port: 25 });
      await session.connect('local', { family: 'unix', path: '/run/x' });
      await session.connect('pipe');
      await session.helo('client.example');
      await session.unknown('VRFY root');
      await session.mail('<a@b>', 'SIZE=10', 'BODY=8BITMIME');
      await session.rcpt('<c@d>');
      await session.data();
      await session.header('Subject', 'a\n\tfolded one');
      await session.header('Empty', '');
      await session.eoh();
      await session.body('hello\r\n');
      await session.eom();
      await session.abort();
      await session.quitNewConnection();
      await session.quit();
      expect(filter.said).toStrictEqual([
        'C[192.0.2.1]\x004\x12\x34192.0.2.1\0',
        'Csix\x006\0\x19IPv6:::1\0',
        'Clocal\0L\0\0/run/x\0',
        'Cpipe\0U',
        'Hclient.example\0',
        'UVRFY root\0',
        'M<a@b>\0SIZE=10\0BODY=8BITMIME\0',
        'R<c@d>\0',
        'T',
        'LSubject\0a\n\tfolded one\0',
        'LEmpty\0\0',
        'N',
        'Bhello\r\n',
        'E',
        'A',
        'K',
        'Q',
      ]);
      expect(session.closed).toBe(true);
    });
  });

  it('sends text as UTF-8, and escaped bytes and Buffers unchanged', async () => {
    await withSession(friendly(0), async (session, filter) => {
      await session.mail('<ü@b>');
      await session.header(Buffer.from([0xff, 0x00, 0x31]), 'caf\udce9');
      await session.eom('€');
      expect(filter.said).toStrictEqual(['M<\xc3\xbc@b>\0', 'L\xff\x001\0caf\xe9\0', 'E\xe2\x82\xac']);
    });
  });

  it('splits the body', async () => {
    await withSession(friendly(0), async (session, filter) => {
      await session.body(Buffer.alloc(65535 * 2 + 1, 'x'));
      expect(await session.body('')).toStrictEqual({ verdict: 'skipped' });
      expect(filter.frames.slice(1).map(({ payload }) => payload.length)).toStrictEqual([65535, 65535, 1]);
    });
  });

  it('splits the body at chunkSize', async () => {
    await withSession(
      friendly(0),
      async (session, filter) => {
        await session.body('abcdefg');
        expect(filter.said).toStrictEqual(['Babc', 'Bdef', 'Bg']);
      },
      { chunkSize: 3 },
    );
  });

  it('sends no more body after SKIP, until the next message', async () => {
    await withSession(
      friendly(Protocol.SKIP, { B: frame('s') }),
      async (session, filter) => {
        expect(await session.body('abcdef')).toStrictEqual({ verdict: 'skip' });
        expect(await session.body('ghi')).toStrictEqual({ verdict: 'skipped' });
        await session.eom();
        expect(await session.body('jkl')).toStrictEqual({ verdict: 'skip' });
        expect(filter.said).toStrictEqual(['Babc', 'E', 'Bjkl']);
      },
      { chunkSize: 3 },
    );
  });

  it('stops the body at a verdict', async () => {
    await withSession(
      friendly(0, { B: frame('r') }),
      async (session, filter) => {
        expect(await session.body('abcdef')).toStrictEqual({ verdict: 'reject' });
        expect(filter.said).toStrictEqual(['Babc']);
      },
      { chunkSize: 3 },
    );
  });

  it('does not send steps that were negotiated away', async () => {
    const off =
      Protocol.NOCONNECT |
      Protocol.NOHELO |
      Protocol.NOMAIL |
      Protocol.NORCPT |
      Protocol.NODATA |
      Protocol.NOUNKNOWN |
      Protocol.NOHDRS |
      Protocol.NOEOH |
      Protocol.NOBODY;
    await withSession(friendly(off), async (session, filter) => {
      for (const response of await everyNegotiableStep(session))
        expect(response).toStrictEqual({ verdict: 'skipped' });
      expect((await session.eom()).verdict).toBe('continue');
      expect(filter.said).toStrictEqual(['E']);
    });
  });

  it('does not wait for steps without reply, and sends them in one write', async () => {
    const script: Script = ({ command }) =>
      command === 'O' ? answer(NR_ALL) : command === 'E' ? CONTINUE : undefined;
    await withSession(script, async (session, filter) => {
      const before = filter.reads;
      for (const response of await everyNegotiableStep(session))
        expect(response).toStrictEqual({ verdict: 'noreply' });
      expect(filter.reads).toBe(before);
      await session.eom();
      expect(filter.reads).toBe(before + 1);
      expect(filter.said).toStrictEqual([
        'Ca\0U',
        'Ha\0',
        'Ua\0',
        'Ma\0',
        'Ra\0',
        'T',
        'La\0b\0',
        'N',
        'Ba',
        'E',
      ]);
    });
  });

  it('sends steps without reply even if nothing else is called', async () => {
    let helo = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      helo = resolve;
    });
    const script: Script = ({ command }) => {
      if (command === 'H') helo();
      return command === 'O' ? answer(NR_ALL) : undefined;
    };
    await withSession(script, async (session) => {
      await session.helo('a');
      await arrived;
      session.destroy();
    });
  });

  it('waits for the reply if the filter did not accept the offered no-reply bit', async () => {
    await withSession(friendly(Protocol.NR_HDR), async (session) => {
      expect((await session.mail('a')).verdict).toBe('continue');
      expect((await session.header('a', 'b')).verdict).toBe('noreply');
      expect((await session.eoh()).verdict).toBe('continue');
    });
  });

  it('handles steps that are not awaited one by one', async () => {
    const usual = friendly(0);
    const script: Script = (seen, count) =>
      seen.payload.startsWith('bad') ? frame('r') : usual(seen, count);
    await withSession(script, async (session) => {
      const responses = await Promise.all([session.mail('a'), session.rcpt('bad'), session.rcpt('b')]);
      expect(responses.map(({ verdict }) => verdict)).toStrictEqual(['continue', 'reject', 'continue']);
    });
  });
});

describe('MtaSession: macros', () => {
  it('sends them before the step, with names as MTAs write them', async () => {
    await withSession(friendly(0), async (session, filter) => {
      session.macros('mail', { i: 'Q1', '{mail_addr}': 'a@b', auth_type: Buffer.from([0xe9]) });
      session.macros('eom', {});
      await session.mail('<a@b>');
      expect(filter.said).toStrictEqual(['DMi\0Q1\0{mail_addr}\0a@b\0{auth_type}\0\xe9\0', 'DE', 'M<a@b>\0']);
    });
  });

  it('sends those of the options automatically, even for a step that was negotiated away', async () => {
    await withSession(
      friendly(Protocol.NOHELO),
      async (session, filter) => {
        await session.connect('a');
        await session.helo('b');
        await session.body('x');
        await session.eom();
        expect(filter.said).toStrictEqual([
          'DCj\0mx\0',
          'Ca\0U',
          'DH{tls}\0no\0',
          'DBi\x001\0',
          'Bx',
          'DEi\x001\0',
          'E',
        ]);
      },
      { macros: { connect: { j: 'mx' }, helo: { tls: 'no' }, body: { i: '1' }, eom: { i: '1' } } },
    );
  });

  it('reduces those of the options to the symbol lists, but not those of a call', async () => {
    const symlists = Buffer.concat([u32(0), Buffer.from('{j} client_addr\0'), u32(2), Buffer.from('\0')]);
    const macros = {
      connect: { j: 'mx', v: '8', '{client_addr}': '::1' },
      mail: { i: '1' },
      rcpt: { i: '1' },
    };
    await withSession(
      continues(answer(0, { symlists })),
      async (session, filter) => {
        await session.connect('a');
        await session.mail('b');
        session.macros('connect', { v: '8' });
        await session.rcpt('c');
        expect(filter.said).toStrictEqual([
          'DCj\0mx\0{client_addr}\0::1\0',
          'Ca\0U',
          'Mb\0',
          'DCv\x008\0',
          'DRi\x001\0',
          'Rc\0',
        ]);
      },
      { macros },
    );
  });
});

describe('MtaSession: verdicts', () => {
  const plain = { c: 'continue', a: 'accept', r: 'reject', t: 'tempfail', d: 'discard', s: 'skip' };
  for (const [letter, verdict] of Object.entries({ ...plain, 4: 'shutdown', f: 'connfail' })) {
    it(`${letter} is ${verdict}`, async () => {
      await withSession(friendly(0, { H: frame(letter) }), async (session) => {
        expect(await session.helo('a')).toStrictEqual({ verdict });
      });
    });
  }

  const replies: [string, object][] = [
    [
      '550 5.7.1 not you\0',
      {
        verdict: 'reject',
        reply: { code: '550', xcode: '5.7.1', lines: ['not you'], text: '550 5.7.1 not you' },
      },
    ],
    ['450 later\0', { verdict: 'tempfail', reply: { code: '450', lines: ['later'], text: '450 later' } }],
    ['421 \0', { verdict: 'tempfail', reply: { code: '421', lines: [''], text: '421 ' } }],
    [
      '550 5.0.0\0',
      { verdict: 'reject', reply: { code: '550', xcode: '5.0.0', lines: [''], text: '550 5.0.0' } },
    ],
    [
      '554-5.7.1 one\r\n554-5.7.1 100%%\r\n554 5.7.1 \xc3\xa9\xe9\0',
      {
        verdict: 'reject',
        reply: {
          code: '554',
          xcode: '5.7.1',
          lines: ['one', '100%%', 'é\udce9'],
          text: '554-5.7.1 one\r\n554-5.7.1 100%%\r\n554 5.7.1 é\udce9',
        },
      },
    ],
  ];
  for (const [text, expected] of replies) {
    it(`reads the reply ${JSON.stringify(text)}`, async () => {
      await withSession(friendly(0, { R: frame('y', text) }), async (session) => {
        expect(await session.rcpt('a')).toStrictEqual(expected);
      });
    });
  }

  for (const text of ['250 fine\0', '550 no end', '55\0', '\0', '', '550 one\r\n551 other\0', '550 a\0b\0']) {
    it(`refuses the reply ${JSON.stringify(text)}`, async () => {
      await withSession(friendly(0, { R: frame('y', text) }), async (session) => {
        await expect(session.rcpt('a')).rejects.toThrow(failsWith('ERR_MILTER_PROTOCOL', /malformed reply/));
      });
    });
  }

  for (const letter of ['h', 'i', 'm', '+', '2', '-', 'e', 'b', 'q', 'p', 'l', 'O', 'z']) {
    it(`refuses ${letter} outside eom`, async () => {
      await withSession(friendly(0, { M: frame(letter, 'a\0b\0') }), async (session) => {
        await expect(session.mail('a')).rejects.toThrow(
          failsWith('ERR_MILTER_PROTOCOL', new RegExp(`'[${letter}]'.* mail`)),
        );
        expect(session.closed).toBe(true);
        await expect(session.rcpt('a')).rejects.toThrow(failsWith('ERR_MILTER_PROTOCOL', /mail/));
      });
    });
  }
});

describe('MtaSession: modifications', () => {
  it('lists them in order, with consecutive body chunks joined', async () => {
    const sent = Buffer.concat([
      frame('h', 'X-A\0 caf\xc3\xa9\0'),
      frame('i', Buffer.concat([u32(3), Buffer.from('X-I\0v\0')])),
      frame('m', Buffer.concat([u32(1), Buffer.from('Subject\0\0')])),
      frame('+', '<a@b>\0'),
      frame('2', '<c@d>\0NOTIFY=NEVER\0'),
      frame('2', '<e@f>\0'),
      frame('-', '<g@h>\0'),
      frame('p'),
      frame('e', '<s@t>\0RET=HDRS\0'),
      frame('e', '<>\0'),
      frame('b', 'one'),
      frame('p'),
      frame('b', 'two\xff'),
      frame('q', 'held\0'),
      frame('b'),
      frame('a'),
    ]);
    await withSession(friendly(0, { E: sent }), async (session) => {
      expect(await session.eom()).toStrictEqual({
        verdict: 'accept',
        progress: 2,
        modifications: [
          { type: 'addheader', name: 'X-A', value: ' café' },
          { type: 'insheader', index: 3, name: 'X-I', value: 'v' },
          { type: 'chgheader', index: 1, name: 'Subject', value: '' },
          { type: 'addrcpt', recipient: '<a@b>' },
          { type: 'addrcpt', recipient: '<c@d>', params: 'NOTIFY=NEVER' },
          { type: 'addrcpt', recipient: '<e@f>' },
          { type: 'delrcpt', recipient: '<g@h>' },
          { type: 'chgfrom', sender: '<s@t>', params: 'RET=HDRS' },
          { type: 'chgfrom', sender: '<>' },
          { type: 'replacebody', body: Buffer.from('onetwo\xff', 'latin1') },
          { type: 'quarantine', reason: 'held' },
          { type: 'replacebody', body: Buffer.alloc(0) },
        ],
      });
    });
  });

  it('accompany a reply as well', async () => {
    const sent = Buffer.concat([frame('q', 'why\0'), frame('y', '550 5.7.1 no\0')]);
    await withSession(friendly(0, { E: sent }), async (session) => {
      const response = await session.eom();
      expect(response.reply?.code).toBe('550');
      expect(response.modifications).toHaveLength(1);
    });
  });

  const malformed: [string, string | Buffer][] = [
    ['h', 'only-name\0'],
    ['h', 'a\0no end'],
    ['i', 'abc'],
    ['m', u32(1)],
    ['+', ''],
    ['2', 'a\0b\0c\0'],
    ['-', 'a\0b\0'],
    ['q', 'no end'],
  ];
  for (const [letter, payload] of malformed) {
    it(`refuses a malformed ${letter}: ${JSON.stringify(payload.toString())}`, async () => {
      await withSession(friendly(0, { E: frame(letter, payload) }), async (session) => {
        await expect(session.eom()).rejects.toThrow(failsWith('ERR_MILTER_PROTOCOL', /malformed/));
      });
    });
  }

  it('reassembles frames split anywhere', async () => {
    const sent = Buffer.concat([frame('h', 'X-A\0b\0'), frame('b', 'x'.repeat(300)), CONTINUE]);
    const dribble = (socket: Socket): void => {
      socket.on('data', async (chunk: Buffer) => {
        for (const byte of chunk[4] === 0x4f ? answer(0) : sent) {
          socket.write(Buffer.of(byte));
          await new Promise(setImmediate);
        }
      });
    };
    await withServer(dribble, async (path) => {
      const session = await MtaSession.open(path);
      expect((await session.eom()).modifications).toHaveLength(2);
      session.destroy();
    });
  });

  it('drops the second verdict that libmilter sends for a body that came with eom', async () => {
    await withSession(friendly(0, { E: Buffer.concat([frame('s'), frame('s')]) }), async (session) => {
      expect((await session.eom('rest')).verdict).toBe('skip');
      expect((await session.mail('a')).verdict).toBe('continue');
    });
  });
});

describe('MtaSession: whole messages', () => {
  const mail = {
    sender: ['<a@b>', 'SIZE=3'],
    recipients: ['<c@d>', ['<e@f>', 'NOTIFY=NEVER']],
    headers: [
      ['Subject', 'hi'],
      ['X', Buffer.from('y')],
    ],
    body: 'hello\r\n',
  } as const;

  it('sends a message as an MTA does', async () => {
    const special = { E: Buffer.concat([frame('h', 'A\0b\0'), frame('p'), frame('a')]) };
    await withSession(friendly(0, special), async (session, filter) => {
      const result = await session.message({ ...mail, macros: { mail: { i: 'Q7' } } });
      expect(result).toStrictEqual({
        endedAt: 'eom',
        verdict: 'accept',
        response: { verdict: 'accept' },
        recipients: [{ verdict: 'continue' }, { verdict: 'continue' }],
        modifications: [{ type: 'addheader', name: 'A', value: 'b' }],
        progress: 1,
      });
      expect(filter.said).toStrictEqual([
        'DMi\0Q7\0',
        'M<a@b>\0SIZE=3\0',
        'R<c@d>\0',
        'R<e@f>\0NOTIFY=NEVER\0',
        'T',
        'LSubject\0hi\0',
        'LX\0y\0',
        'N',
        'Bhello\r\n',
        'E',
      ]);
      await session.mail('<next>');
      expect(filter.said.at(-1)).toBe('M<next>\0');
      expectThat(filter.said.at(-2), 'macros of a message end with it').toBe('E');
    });
  });

  it('sends a message that is only an envelope', async () => {
    await withSession(friendly(0), async (session, filter) => {
      expect((await session.message({ sender: '<>', recipients: ['<c@d>'] })).endedAt).toBe('eom');
      expect(filter.said).toStrictEqual(['M<>\0', 'R<c@d>\0', 'T', 'N', 'E']);
    });
  });

  it('keeps the space after the colon if that was negotiated', async () => {
    await withSession(friendly(Protocol.HDR_LEADSPC), async (session, filter) => {
      await session.message(mail);
      expect(filter.said.filter((said) => said.startsWith('L'))).toStrictEqual([
        'LSubject\0 hi\0',
        'LX\0 y\0',
      ]);
    });
  });

  const ends: [string, string, string][] = [
    ['mail', 'M', 'M'],
    ['data', 'T', 'MRRT'],
    ['header', 'L', 'MRRTL'],
    ['eoh', 'N', 'MRRTLLN'],
    ['body', 'B', 'MRRTLLNB'],
    ['eom', 'E', 'MRRTLLNBE'],
  ];
  for (const [step, letter, said] of ends) {
    for (const verdict of ['r', 't', 'd', 'a', 'y']) {
      it(`ends at ${step} with ${verdict}`, async () => {
        const script = friendly(0, { [letter]: frame(verdict, verdict === 'y' ? '554 no\0' : '') });
        await withSession(script, async (session, filter) => {
          expect((await session.message(mail)).endedAt).toBe(step);
          expect(filter.said.map(([command]) => command).join('')).toBe(said);
        });
      });
    }
  }

  it('continues without the refused recipients', async () => {
    const usual = friendly(0);
    const script: Script = (seen, count) =>
      seen.payload.startsWith('<c@d>') ? frame('r') : usual(seen, count);
    await withSession(script, async (session) => {
      const result = await session.message(mail);
      expect(result.endedAt).toBe('eom');
      expect(result.recipients.map(({ verdict }) => verdict)).toStrictEqual(['reject', 'continue']);
    });
  });

  it('aborts a message that has no recipients left', async () => {
    await withSession(friendly(0, { R: frame('t') }), async (session, filter) => {
      const result = await session.message(mail);
      expect(result.endedAt).toBe('rcpt');
      expect(result.verdict).toBe('tempfail');
      await session.helo('sync');
      expect(filter.said.map(([command]) => command).join('')).toBe('MRRAH');
    });
  });

  for (const [verdict, said] of [
    ['a', 'MRH'],
    ['d', 'MRAH'],
  ] as const) {
    it(`ends at a recipient with ${verdict}`, async () => {
      await withSession(friendly(0, { R: frame(verdict) }), async (session, filter) => {
        expect((await session.message(mail)).endedAt).toBe('rcpt');
        await session.helo('sync');
        expect(filter.said.map(([command]) => command).join('')).toBe(said);
      });
    });
  }

  it('leaves out the other headers after SKIP', async () => {
    await withSession(friendly(Protocol.SKIP, { L: frame('s') }), async (session, filter) => {
      expect((await session.message(mail)).endedAt).toBe('eom');
      expect(filter.said.map(([command]) => command).join('')).toBe('MRRTLNBE');
    });
  });
});

describe('MtaSession: filters that misbehave', () => {
  it('names in the error what it waited for when the filter is silent, and ends', async () => {
    using time = new FakeTimeouts();
    await withSession(
      friendly(0, { M: undefined }),
      async (session, filter) => {
        const timesOut = expect(session.mail('a')).rejects.toThrow(
          failsWith('ERR_MILTER_TIMEOUT', /reply to mail within 1000 ms/),
        );
        await turnsUntil(() => filter.frames.at(-1)?.command === 'M');
        time.advance(999);
        expect(session.closed).toBe(false);
        time.advance(1);
        await timesOut;
        expect(session.closed).toBe(true);
        await expect(session.mail('a')).rejects.toThrow(failsWith('ERR_MILTER_TIMEOUT', /mail/));
      },
      { timeout: 1000 },
    );
  });

  it('restarts the time limit after each frame', async () => {
    using time = new FakeTimeouts();
    let asked: Socket | undefined;
    const slow = (socket: Socket): void => {
      socket.on('data', (chunk: Buffer) => {
        if (chunk[4] === 0x4f) socket.write(answer(0));
        else asked = socket;
      });
    };
    await withServer(slow, async (path) => {
      const session = await MtaSession.open(path, { timeout: 150 });
      time.advance(200); // no reply is expected yet
      const ended = session.eom();
      await turnsUntil(() => asked !== undefined);
      for (const reply of [frame('p'), frame('p'), frame('p'), CONTINUE]) {
        time.advance(100);
        asked?.write(reply);
        await localDelivery();
      }
      expect((await ended).progress).toBe(3);
      session.destroy();
    });
  });

  it('times out in negotiation', async () => {
    using time = new FakeTimeouts();
    await using filter = await FakeFilter.start(() => undefined);
    const timesOut = expect(MtaSession.open(filter.path, { timeout: 50 })).rejects.toThrow(
      failsWith('ERR_MILTER_TIMEOUT', /answer to the negotiation/),
    );
    await turnsUntil(() => filter.frames.length > 0);
    time.advance(50);
    await timesOut;
  });

  it('times out when the filter does not read', async () => {
    using time = new FakeTimeouts();
    const deaf = (socket: Socket): void => {
      socket.once('data', () => {
        socket.write(answer(Protocol.NR_BODY));
        socket.pause();
      });
    };
    await withServer(deaf, async (path) => {
      const session = await MtaSession.open(path, { timeout: 100 });
      const timesOut = expect(session.body(Buffer.alloc(8_000_000))).rejects.toThrow(
        failsWith('ERR_MILTER_TIMEOUT', /read what/),
      );
      await localDelivery();
      time.advance(100);
      await timesOut;
    });
  });

  it('times out when the filter does not hang up after quit', async () => {
    const stay = (socket: Socket): unknown => socket.once('data', () => socket.write(answer(0)));
    // The negotiation cannot time out; the end is waited for with a timer that is not faked.
    using _ = new FakeTimeouts();
    await withServer(stay, async (path) => {
      const session = await MtaSession.open(path, { timeout: 50 });
      await expect(session.quit()).rejects.toThrow(failsWith('ERR_MILTER_TIMEOUT', /close the connection/));
    });
  });

  it('fails the waiting step when the filter hangs up', async () => {
    await withSession(friendly(0, { R: 'close' }), async (session) => {
      await session.mail('a');
      await expect(session.rcpt('b')).rejects.toThrow(
        failsWith('ERR_MILTER_CLOSED', /before it sent the reply to rcpt/),
      );
      await expect(session.data()).rejects.toThrow(failsWith('ERR_MILTER_CLOSED', /rcpt/));
      await expect(session.eom()).rejects.toThrow(failsWith('ERR_MILTER_CLOSED', /rcpt/));
      await expect(session.abort()).rejects.toThrow(failsWith('ERR_MILTER_CLOSED', /rcpt/));
    });
  });

  it('says that the connection was closed in the middle of a frame', async () => {
    const half = (socket: Socket): unknown => socket.once('data', () => socket.end(answer(0).subarray(0, 9)));
    await withServer(half, async (path) => {
      await expect(MtaSession.open(path)).rejects.toThrow(
        failsWith('ERR_MILTER_CLOSED', /in the middle of a frame/),
      );
    });
  });

  it('notices a hang-up between steps', async () => {
    await withSession(friendly(0, { A: 'close' }), async (session) => {
      await session.abort();
      await session.waitForClose();
      expect(session.closed).toBe(true);
      await expect(session.mail('a')).rejects.toThrow(
        failsWith('ERR_MILTER_CLOSED', /closed the connection/),
      );
    });
  });

  it('refuses a frame above the limit as soon as its length has come', async () => {
    await withSession(friendly(0, { E: u32(65537) }), async (session) => {
      await expect(session.eom()).rejects.toThrow(
        failsWith('ERR_MILTER_PROTOCOL', /65536 bytes.*limit of 65535/),
      );
    });
  });

  it('accepts a frame of the maximum size', async () => {
    const body = frame('b', 'x'.repeat(65535));
    await withSession(friendly(0, { E: Buffer.concat([body, body, CONTINUE]) }), async (session) => {
      const [modification] = (await session.eom()).modifications;
      expect(modification?.type === 'replacebody' && modification.body.length).toBe(131070);
    });
  });

  it('raises the limit with SMFIP_MDS_256K, and obeys maxFrameSize', async () => {
    const big = { E: Buffer.concat([frame('b', 'x'.repeat(200_000)), CONTINUE]) };
    const offer = { protocol: Protocol.ALL | Protocol.MDS_256K };
    const body = async (session: MtaSession): Promise<void> => {
      expect((await session.eom()).modifications).toHaveLength(1);
    };
    await withSession(friendly(Protocol.MDS_256K, big), body, offer);
    await withSession(friendly(0, big), body, { maxFrameSize: 200_000 });
    await withSession(
      friendly(0, big),
      async (session) => {
        await expect(session.eom()).rejects.toThrow(failsWith('ERR_MILTER_PROTOCOL', /limit of 199999/));
      },
      { maxFrameSize: 199_999 },
    );
  });

  it('refuses a frame of length 0', async () => {
    await withSession(friendly(0, { E: u32(0) }), async (session) => {
      await expect(session.eom()).rejects.toThrow(failsWith('ERR_MILTER_PROTOCOL', /length 0/));
    });
  });

  it('refuses garbage', async () => {
    await withSession(
      friendly(0, { E: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }),
      async (session) => {
        await expect(session.eom()).rejects.toThrow(
          failsWith('ERR_MILTER_PROTOCOL', /frame of 1213486159 bytes/),
        );
      },
    );
  });

  it('refuses a reply that was not due', async () => {
    const script = friendly(Protocol.NR_HELO, { M: Buffer.concat([CONTINUE, CONTINUE]) });
    await withSession(script, async (session) => {
      await session.mail('a');
      await expect(session.rcpt('b')).rejects.toThrow(
        failsWith('ERR_MILTER_PROTOCOL', /'c' while no reply was due/),
      );
    });
  });
});

describe('MtaSession: a test that misbehaves', () => {
  it('sends raw bytes and frames, and reads frames', async () => {
    await withSession(friendly(0), async (session, filter) => {
      const raw = frame('H', 'raw\0');
      await session.sendRaw(raw.subarray(0, 6));
      await session.sendRaw(raw.subarray(6));
      expect(await session.readFrame()).toStrictEqual({ command: 'c', payload: Buffer.alloc(0) });
      await session.sendFrame(0x58, 'x');
      await session.sendFrame('Z');
      expect((await session.readFrame()).command).toBe('c');
      expect((await session.readFrame()).command).toBe('c');
      expect(filter.said).toStrictEqual(['Hraw\0', 'Xx', 'Z']);
    });
  });

  it('hangs up in the middle of a frame', async () => {
    await withSession(friendly(0), async (session, filter) => {
      await session.sendRaw(Buffer.from([0, 0, 1]));
      session.destroy();
      await session.waitForClose();
      while (filter.received[0]?.length !== 20) await new Promise(setImmediate);
      expect(filter.frames).toHaveLength(1);
      await expect(session.sendRaw(Buffer.of(0))).rejects.toThrow(
        failsWith('ERR_MILTER_CLOSED', /destroyed/),
      );
    });
  });

  it('sends QUIT once when it is disposed of', async () => {
    await using filter = await FakeFilter.start(friendly(0));
    {
      await using session = await MtaSession.open(filter.path);
      await session.helo('a');
    }
    expect(filter.said).toStrictEqual(['Ha\0', 'Q']);
    {
      await using session = await MtaSession.open(filter.path);
      await session.quit();
      await session.close();
    }
    expect(filter.frames.map(({ command }) => command)).toStrictEqual(['O', 'H', 'Q', 'O', 'Q']);
  });

  it('destroys the session while a frame is awaited', async () => {
    await withSession(friendly(0), async (session) => {
      const waiting = expect(session.readFrame()).rejects.toThrow(
        failsWith('ERR_MILTER_CLOSED', /destroyed/),
      );
      session.destroy();
      await waiting;
    });
  });

  it('just hangs up when it is disposed of while a reply is awaited', async () => {
    await withSession(friendly(0, { M: undefined }), async (session, filter) => {
      const waiting = expect(session.mail('a')).rejects.toThrow(failsWith('ERR_MILTER_CLOSED', /destroyed/));
      await session.close();
      await waiting;
      expect(filter.said).not.toContain('Q');
    });
  });
});

describe('MtaSession: load', () => {
  it('opens 500 sessions at once and sends a message in each', async () => {
    await using filter = await FakeFilter.start(friendly(NR_ALL & ~Protocol.NR_MAIL & ~Protocol.NR_RCPT));
    const script = async (): Promise<string> => {
      await using session = await MtaSession.open(filter.path);
      const { verdict } = await session.message({
        sender: '<a@b>',
        recipients: ['<c@d>'],
        headers: Array.from({ length: 20 }, (_, i) => [`X-${i}`, 'value'] as const),
        body: 'x'.repeat(2048),
      });
      return verdict;
    };
    const verdicts = await Promise.all(Array.from({ length: 500 }, script));
    expect(new Set(verdicts)).toStrictEqual(new Set(['continue']));
  });
});
