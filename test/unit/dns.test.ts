/** tsmilter/dns against a DNS server on loopback, honest and hostile. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type DnsAnswer,
  DnsCache,
  DnsError,
  type DnsQuestion,
  type DnsRecord,
  DnsSession,
  type DnsSessionOptions,
  dnsFailureOf,
} from 'tsmilter/dns';
import { DnsServer, type Zone } from '../../tools/dns-server';
import { errorWith } from '../support/expect';
import { FakeTimeouts } from '../support/fake-timeouts';

const ZONE: Zone = {
  'example.com': {
    A: ['192.0.2.1', '192.0.2.2'],
    AAAA: ['2001:db8::1'],
    MX: [{ exchange: 'mx.example.com', priority: 10 }],
    TXT: [['v=spf1 ', '-all'], 'other', Buffer.from([0xe9, 0x20])],
  },
  '1.2.0.192.in-addr.arpa': { PTR: ['example.com'] },
  '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa': { PTR: ['six.example.com'] },
  'big.example': { TXT: Array.from({ length: 20 }, (_, at) => `${at}`.padEnd(200, 'x')) },
  'alias.example': { CNAME: 'second.example' },
  'second.example': { CNAME: 'example.com' },
  'lost.example': { CNAME: 'nowhere.example' },
  'one.example': { CNAME: 'two.example' },
  'two.example': { CNAME: 'one.example' },
  'self.example': { CNAME: 'self.example' },
  'failing.example': { fault: 'SERVFAIL' },
  'refusing.example': { fault: 'REFUSED' },
  'silent.example': { fault: 'silence' },
  'truncated.example': { A: ['192.0.2.3'], fault: 'truncated' },
  'short.example': { A: ['192.0.2.4'], ttl: 5 },
  'never.example': { A: ['192.0.2.4'], ttl: 0 },
  ...Object.fromEntries(
    Array.from({ length: 12 }, (_, at) => [`chain${at}.example`, { CNAME: `chain${at + 1}.example` }]),
  ),
  'chain12.example': { A: ['192.0.2.12'] },
};

const failsWith = (code: string) => errorWith({ code }, DnsError);

describe('DnsSession', () => {
  let server: DnsServer;
  const open = (options: DnsSessionOptions = {}) => new DnsSession({ servers: [server.address], ...options });

  beforeAll(async () => {
    server = await DnsServer.start(ZONE);
  });
  beforeEach(() => {
    server.queries.length = 0;
  });
  afterAll(() => server.close());

  it('resolves every type of record', async () => {
    const session = open();
    expect(await session.resolve4('example.com')).toStrictEqual(['192.0.2.1', '192.0.2.2']);
    expect(await session.resolve6('example.com')).toStrictEqual(['2001:db8::1']);
    expect(await session.resolveMx('example.com')).toStrictEqual([
      { exchange: 'mx.example.com', priority: 10 },
    ]);
    expect(await session.resolveTxt('example.com')).toStrictEqual([
      ['v=spf1 ', '-all'],
      ['other'],
      ['\xe9 '],
    ]);
    expect(await session.resolveCname('alias.example')).toStrictEqual(['second.example']);
    expect(await session.resolvePtr('1.2.0.192.in-addr.arpa')).toStrictEqual(['example.com']);
  });

  it('finds the names of addresses', async () => {
    const session = open();
    expect(await session.reverse('192.0.2.1')).toStrictEqual(['example.com']);
    expect(await session.reverse('::ffff:192.0.2.1')).toStrictEqual(['example.com']);
    expect(await session.reverse('2001:db8::1')).toStrictEqual(['six.example.com']);
    expect(await session.reverse('2001:db8::0.0.0.1')).toStrictEqual(['six.example.com']);
    await expect(session.reverse('::192.0.2.1')).rejects.toThrow(errorWith({ code: 'ENOTFOUND' }));
    await expect(session.reverse('host')).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });

  it('accepts names with a final dot, in any letter case', async () => {
    expect(await open().resolve4('EXAMPLE.com.')).toStrictEqual(['192.0.2.1', '192.0.2.2']);
  });

  it('asks again over TCP if an answer is truncated', async () => {
    expect(await open().resolveTxt('big.example')).toHaveLength(20);
    expect(server.queries).toStrictEqual(['TXT big.example', 'TXT big.example']);
  });

  for (const [name, code] of [
    ['nowhere.example', 'ENOTFOUND'],
    ['lost.example', 'ENOTFOUND'],
    ['failing.example', 'ESERVFAIL'],
    ['refusing.example', 'EREFUSED'],
    ['silent.example', 'ETIMEOUT'],
    [`${'x'.repeat(64)}.example`, 'EBADNAME'],
    [`${'x.'.repeat(127)}example`, 'EBADNAME'],
    ['a..example', 'EBADNAME'],
    ['', 'EBADNAME'],
    ['grün.example', 'EBADNAME'],
    ['a b.example', 'ENOTFOUND'],
    ['a\\', 'EBADNAME'],
  ] as const) {
    it(`fails with ${code} for ${name.slice(0, 40) || 'no name'}`, async () => {
      const timeout = code === 'ETIMEOUT' ? 100 : 20_000;
      await expect(open({ timeout, tries: 1 }).resolve4(name)).rejects.toThrow(failsWith(code));
    });
  }

  it('fails with ENODATA if a name has no record of the type', async () => {
    await expect(open().resolveTxt('second.example.'.replace('second', 'short'))).rejects.toThrow(
      failsWith('ENODATA'),
    );
  });

  it('rejects an unknown type and invalid options', async () => {
    await expect(open().resolve('example.com', 'SRV' as 'A')).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
    const bad: DnsSessionOptions[] = [
      { servers: ['host'] },
      { servers: [] },
      { servers: ['192.0.2.1:0'] },
      { servers: ['2001:db8::1:53:x'] },
      { servers: ['[192.0.2.1]:53'] },
      { timeout: 0 },
      { tries: 0 },
      { maxLookups: -1 },
      { cacheSize: 1.5 },
    ];
    for (const options of bad)
      expect(() => new DnsSession(options)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    expect(new DnsSession()).toBeTruthy();
    expect(new DnsSession({ servers: ['192.0.2.1', '2001:db8::1', '[2001:db8::1]:5353'] })).toBeTruthy();
  });

  it('dns() returns an empty list for a negative answer, as in pymilter', async () => {
    const session = open({ tries: 1 });
    expect(await session.dns('example.com', 'A')).toStrictEqual(['192.0.2.1', '192.0.2.2']);
    expect(await session.dns('nowhere.example', 'A')).toStrictEqual([]);
    expect(await session.dns('short.example', 'MX')).toStrictEqual([]);
    await expect(session.dns('failing.example', 'A')).rejects.toThrow(failsWith('ESERVFAIL'));
  });

  it('asks the next server if one fails', async () => {
    await using failing = await DnsServer.start({ 'example.com': { fault: 'SERVFAIL' } });
    const servers = [failing.address, `127.0.0.1:${await closedPort()}`, server.address];
    expect(await open({ servers, tries: 1 }).resolve6('example.com')).toStrictEqual(['2001:db8::1']);
    expect(failing.queries).toStrictEqual(['AAAA example.com']);
  });

  it('fails if no server answers', async () => {
    const session = open({ servers: [`127.0.0.1:${await closedPort()}`], tries: 1 });
    await expect(session.resolve4('example.com')).rejects.toThrow(failsWith('ESERVFAIL'));
  });

  it('follows aliases, even if each answer has only one', async () => {
    expect(await open().resolve4('alias.example')).toStrictEqual(['192.0.2.1', '192.0.2.2']);
    expect(server.queries).toStrictEqual(['A alias.example']);
    server.follows = false;
    server.queries.length = 0;
    expect(await open().resolve4('alias.example')).toStrictEqual(['192.0.2.1', '192.0.2.2']);
    expect(server.queries).toStrictEqual(['A alias.example', 'A second.example', 'A example.com']);
    server.follows = true;
  });

  /** @contract 36 */
  describe('loops of aliases are rejected', () => {
    for (const follows of [true, false]) {
      const how = follows ? 'in one answer' : 'over several answers';
      it(how, async () => {
        server.follows = follows;
        try {
          for (const name of ['one.example', 'self.example']) {
            await expect(open().resolve4(name)).rejects.toThrow(/a loop of aliases/);
            await expect(open().resolveMx(name)).rejects.toThrow(failsWith('EBADRESP'));
          }
        } finally {
          server.follows = true;
        }
      });
    }
  });

  /** @contract 36 */
  describe('answers that would poison the cache are rejected', () => {
    const victim = { name: 'victim.example', type: 'A', value: '203.0.113.66' } as const;
    const cases: [string, Zone[string], string[] | undefined][] = [
      ["another name's record beside the right one", { A: ['192.0.2.9'], poison: [victim] }, ['192.0.2.9']],
      ["another name's record alone", { poison: [victim] }, undefined],
      [
        'an alias of another name, and what it leads to',
        {
          poison: [
            { name: 'victim.example', type: 'CNAME', value: 'evil.example' },
            { name: 'evil.example', type: 'A', value: '203.0.113.66' },
          ],
        },
        undefined,
      ],
    ];
    for (const [what, records, expected] of cases) {
      it(what, async () => {
        server.zone = { ...ZONE, 'hostile.example': records, 'victim.example': { A: ['192.0.2.80'] } };
        try {
          const session = open();
          const asked = session.resolve4('hostile.example');
          if (expected === undefined) await expect(asked).rejects.toThrow(failsWith('ENODATA'));
          else expect(await asked).toStrictEqual(expected);
          expect(await session.resolve4('victim.example')).toStrictEqual(['192.0.2.80']);
        } finally {
          server.zone = ZONE;
        }
      });
    }

    it('datagrams that do not answer the query', async () => {
      // What a forger who does not see the question could send: another id, another question, no DNS at all.
      const socket = createSocket('udp4');
      socket.on('message', (query, { port, address }) => {
        const send = (change: (bytes: Buffer) => Buffer) =>
          socket.send(change(Buffer.from(query)), port, address);
        const answered = (bytes: Buffer) => {
          bytes[2] = 0x80;
          return bytes;
        };
        send(() => Buffer.from('not DNS'));
        send((bytes) => {
          bytes.writeUInt16BE(bytes.readUInt16BE(0) ^ 1, 0);
          return answered(bytes);
        });
        send((bytes) => {
          bytes[13] = 'z'.charCodeAt(0);
          return answered(bytes);
        });
        send((bytes) => bytes); // the question itself
        send((bytes) => {
          bytes[3] = 3; // NXDOMAIN: the true answer
          return answered(bytes);
        });
      });
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      try {
        const session = open({ servers: [`127.0.0.1:${socket.address().port}`], timeout: 20_000, tries: 1 });
        await expect(session.resolve4('example.com')).rejects.toThrow(failsWith('ENOTFOUND'));
      } finally {
        socket.close();
      }
    });
  });

  describe('an answer in the cache', () => {
    it('answers a repeated query, in any letter case', async () => {
      const session = open();
      await session.resolve4('example.com');
      await session.resolve4('Example.COM.');
      expect(session.lookups).toBe(1);
    });

    it('sends one query for many simultaneous callers', async () => {
      const session = open();
      await Promise.all(Array.from({ length: 20 }, () => session.resolve4('example.com')));
      expect(session.lookups).toBe(1);
    });

    it('is kept for its TTL, at most maxTtl', async () => {
      let now = 1_000_000;
      const session = open({ now: () => now, maxTtl: 60, negativeTtl: 7 });
      const asks = async (name: string) => {
        const before = session.lookups;
        await session.dns(name, 'A');
        return session.lookups > before;
      };
      const names = ['short.example', 'example.com', 'nowhere.example', 'never.example'];
      const all = async () => {
        const asked: boolean[] = [];
        for (const name of names) asked.push(await asks(name));
        return asked;
      };
      expect(await all()).toStrictEqual([true, true, true, true]);
      expect(await all()).toStrictEqual([false, false, false, true]);
      now += 5000;
      expect(await all()).toStrictEqual([true, false, false, true]);
      now += 2000;
      expect(await all()).toStrictEqual([false, false, true, true]);
      now += 53_000;
      expect(await all()).toStrictEqual([true, true, true, true]);
    });

    it('does not keep failures', async () => {
      const session = open({ tries: 1 });
      for (let round = 1; round <= 2; round++) {
        await expect(session.resolve4('failing.example')).rejects.toThrow(failsWith('ESERVFAIL'));
        expect(session.lookups).toBe(round);
      }
    });

    it('keeps at most cacheSize answers', async () => {
      const session = open({ cacheSize: 1 });
      await session.resolve4('example.com');
      await session.resolve4('short.example');
      await session.resolve4('example.com');
      expect(session.lookups).toBe(3);
      const forgetful = open({ cacheSize: 0 });
      await forgetful.resolve4('example.com');
      await forgetful.resolve4('example.com');
      expect(forgetful.lookups).toBe(2);
    });
  });

  it('keeps messages about strange names on one line', async () => {
    for (const name of ['a\u2028b', '\u202e', 'x\r\ny..', `${'x'.repeat(100_000)}`]) {
      const error = (await open()
        .resolve4(name)
        .catch((reason: unknown) => reason)) as DnsError;
      expect(error).toMatchObject({ code: 'EBADNAME', hostname: name });
      expect(error.message).toMatch(/^[ -~]{1,1200}$/);
      await expect(open().reverse(name)).rejects.toThrow(/^[ -~]{1,200}$/);
    }
  });

  describe('limits', () => {
    it('maxLookups', async () => {
      const session = open({ maxLookups: 2 });
      await session.resolve4('example.com');
      await session.resolve6('example.com');
      await expect(session.resolveMx('example.com')).rejects.toThrow(failsWith('ERR_MILTER_DNS_LIMIT'));
      expect(await session.resolve4('example.com')).toHaveLength(2); // what is remembered is free
    });

    it('maxAliases', async () => {
      await expect(open().resolve4('chain3.example')).rejects.toThrow(failsWith('ERR_MILTER_DNS_LIMIT'));
      expect(await open().resolve4('chain4.example')).toStrictEqual(['192.0.2.12']);
      expect(await open({ maxAliases: 12 }).resolve4('chain0.example')).toStrictEqual(['192.0.2.12']);
    });

    it('maxRecords', async () => {
      await expect(open({ maxRecords: 1 }).resolve4('example.com')).rejects.toThrow(
        failsWith('ERR_MILTER_DNS_LIMIT'),
      );
    });

    it('maxTime, over all lookups together', async () => {
      using time = new FakeTimeouts({ withClock: true });
      const asked: string[] = [];
      const session = open({
        maxTime: 60,
        exchange: async ({ name }, signal) => {
          asked.push(name);
          time.advance(40);
          signal.throwIfAborted();
          return { rcode: 'NOERROR', records: [] };
        },
      });
      await expect(session.resolve4('one.example')).rejects.toThrow(failsWith('ENODATA'));
      await expect(session.resolve4('two.example')).rejects.toThrow(failsWith('ERR_MILTER_DNS_LIMIT'));
      await expect(session.resolve4('three.example')).rejects.toThrow(failsWith('ERR_MILTER_DNS_LIMIT'));
      expect(asked).toStrictEqual(['one.example', 'two.example']);
    });
  });

  describe('the budget of a message', () => {
    it('is shared by its parts, which have limits of their own', async () => {
      const message = open({ maxLookups: 4 });
      const spf = message.share({ maxLookups: 2 });
      const dkim = message.share();
      await spf.resolve4('example.com');
      await spf.resolve6('example.com');
      await expect(spf.resolveMx('example.com')).rejects.toThrow(failsWith('ERR_MILTER_DNS_LIMIT'));
      expect([message.lookups, spf.lookups, dkim.lookups]).toStrictEqual([2, 2, 0]);
      await dkim.resolve4('example.com'); // cached
      await dkim.resolveMx('example.com');
      await dkim.resolveTxt('example.com');
      expect([message.lookups, spf.lookups, dkim.lookups]).toStrictEqual([4, 2, 2]);
      await expect(dkim.resolve4('short.example')).rejects.toThrow(/sent 4 questions already/);
      expect(server.queries).toHaveLength(4);
    });

    it('is not spent by lookups at the same time more than once', async () => {
      using time = new FakeTimeouts({ withClock: true });
      const answers: (() => void)[] = [];
      const session = open({
        maxTime: 100,
        exchange: () =>
          new Promise((resolve) => answers.push(() => resolve({ rcode: 'NXDOMAIN', records: [] }))),
      });
      const lookups = ['one', 'two', 'three'].map((name) => session.dns(`${name}.example`, 'A'));
      time.advance(60);
      for (const answer of answers.splice(0)) answer();
      expect(await Promise.all(lookups)).toStrictEqual([[], [], []]);
      const last = session.dns('four.example', 'A');
      time.advance(39);
      for (const answer of answers) answer();
      expect(await last).toStrictEqual([]);
    });

    it('ends lookups when the signal of the message, or of a part, is aborted', async () => {
      for (const which of ['whole', 'part'] as const) {
        const controllers = { whole: new AbortController(), part: new AbortController() };
        const whole = open({ signal: controllers.whole.signal, timeout: 60_000 });
        const asked = whole.share({ signal: controllers.part.signal }).resolve4('silent.example');
        setImmediate(() => controllers[which].abort());
        await expect(asked).rejects.toThrow(failsWith('ECANCELLED'));
      }
    });

    it('refuses unknown limits', () => {
      expect(() => open().share({ servers: [] } as object)).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    });
  });

  it('joins the character-strings of a TXT record, and keeps its bytes', async () => {
    const texts = await open().texts('example.com');
    expect(texts).toStrictEqual(['v=spf1 -all', 'other', '\xe9 ']);
    expect(Buffer.from(texts[2] as string, 'latin1')).toStrictEqual(Buffer.from([0xe9, 0x20]));
  });

  describe('dnsFailureOf', () => {
    for (const [name, failure, options] of [
      ['nowhere.example', 'nonexistent', {}],
      ['lost.example', 'nonexistent', {}],
      ['short.example', 'nodata', {}],
      ['a..example', 'nonexistent', {}],
      ['failing.example', 'temporary', {}],
      ['refusing.example', 'temporary', {}],
      ['silent.example', 'temporary', { timeout: 50 }],
      ['silent.example', 'temporary', { maxTime: 50 }],
      ['one.example', 'temporary', {}],
      ['example.com', 'permanent', { maxLookups: 0 }],
      ['chain0.example', 'permanent', {}],
      ['example.com', 'permanent', { maxRecords: 0 }],
    ] as const) {
      it(`${name} ${JSON.stringify(options)} is ${failure}`, async () => {
        const error = await open({ tries: 1, ...options })
          .resolveMx(name)
          .catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(DnsError);
        expect(dnsFailureOf(error)).toBe(failure);
        expect((error as DnsError).temporary).toBe(failure === 'temporary');
      });
    }

    it('knows the errors of node:dns, and tells mistakes of a resolver from failures', () => {
      const failed = (code: string) => dnsFailureOf(Object.assign(new Error('DNS'), { code }));
      expect(['ENOTFOUND', 'ENODATA', 'ETIMEOUT', 'ECONNREFUSED', 'EFORMERR'].map(failed)).toStrictEqual([
        'nonexistent',
        'nodata',
        'temporary',
        'temporary',
        'temporary',
      ]);
      for (const mistake of [new TypeError('a mistake'), null, undefined, 'text']) {
        expect(dnsFailureOf(mistake)).toBeUndefined();
      }
    });
  });

  describe('a shared cache', () => {
    it('answers other sessions, whose budget it spares', async () => {
      const cache = new DnsCache();
      await open({ cache }).resolve4('example.com');
      await open({ cache }).dns('nowhere.example', 'A');
      const other = open({ cache, maxLookups: 0 });
      expect(await other.resolve4('EXAMPLE.com')).toHaveLength(2);
      await expect(other.resolve4('nowhere.example')).rejects.toThrow(failsWith('ENOTFOUND'));
      expect(cache.size).toBe(2);
    });

    const answering = (answer: Partial<DnsAnswer>, ...records: Omit<DnsRecord, 'name'>[]) => {
      const exchange = async ({ name }: DnsQuestion): Promise<DnsAnswer> => ({
        rcode: 'NOERROR',
        records: records.map((record, at) => ({ name: at === 0 ? name : 'target.example', ...record })),
        ...answer,
      });
      return exchange;
    };
    const seconds = async (exchange: ReturnType<typeof answering>, options: DnsSessionOptions = {}) => {
      let now = 0;
      const session = new DnsSession({ exchange, now: () => now, ...options });
      for (; session.lookups < 2 && now < 10_000_000; now += 1000) await session.dns('a.example', 'A');
      return now / 1000 - 1;
    };

    it('keeps what an alias has led to no longer than the alias', async () => {
      const target = { type: 'A', ttl: 300, data: '192.0.2.1' } as const;
      const alias = (ttl: number) => ({ type: 'CNAME', ttl, data: 'target.example' }) as const;
      expect(await seconds(answering({}, alias(7), target))).toBe(7);
      expect(await seconds(answering({}, alias(900), target))).toBe(300);
      expect(await seconds(answering({ rcode: 'NXDOMAIN' }, alias(9)))).toBe(9);
    });

    it('keeps a negative answer as its zone says, at most negativeTtl (RFC 2308 5)', async () => {
      for (const rcode of ['NXDOMAIN', 'NOERROR']) {
        expect(await seconds(answering({ rcode, negativeTtl: 20 }))).toBe(20);
        expect(await seconds(answering({ rcode, negativeTtl: 3600 }))).toBe(60);
        expect(await seconds(answering({ rcode }), { negativeTtl: 5 })).toBe(5);
      }
    });

    it('is bounded by the size of its answers', async () => {
      const text = (length: number) => ({ type: 'TXT' as const, ttl: 300, data: ['x'.repeat(length)] });
      const cache = new DnsCache({ maxCacheBytes: 10_000 });
      const ask = async (name: string, length: number) => {
        const session = new DnsSession({ cache, exchange: answering({}, text(length)) });
        await session.resolveTxt(name);
        return session.lookups;
      };
      await ask('huge.example', 10_000);
      expect(cache.size).toBe(0);
      for (const name of ['one.example', 'two.example', 'three.example']) await ask(name, 4000);
      expect(cache.size).toBe(2);
      expect(await ask('three.example', 4000)).toBe(0);
      expect(await ask('one.example', 4000)).toBe(1);
      expect(() => new DnsSession({ cache: new Map() as never })).toThrow(/cache must be a DnsCache/);
    });
  });

  it('cancels a query when the signal is aborted', async () => {
    const controller = new AbortController();
    const session = open({ signal: controller.signal, timeout: 60_000 });
    const asked = session.resolve4('silent.example');
    setImmediate(() => controller.abort());
    await expect(asked).rejects.toThrow(failsWith('ECANCELLED'));
    await expect(session.resolve4('example.com')).rejects.toThrow(failsWith('ECANCELLED'));
  });

  it('fails if a TCP server closes the connection or answers garbage', async () => {
    for (const reply of ['', '\0\x03abc']) {
      await using hostile = await truncating(reply);
      const session = open({ servers: [hostile.address], tries: 1 });
      await expect(session.resolve4('example.com')).rejects.toThrow(failsWith('ESERVFAIL'));
    }
    await using faulty = await DnsServer.start(ZONE);
    const session = open({ servers: [faulty.address], tries: 1 });
    // Over TCP, nothing may be missing.
    await expect(session.resolve4('truncated.example')).rejects.toThrow(failsWith('ESERVFAIL'));
  });

  it('sends its queries through a given exchange', async () => {
    const asked: DnsQuestion[] = [];
    const exchange = async (question: DnsQuestion): Promise<DnsAnswer> => {
      asked.push(question);
      if (question.name === 'odd.example') return { rcode: 'NOTIMP', records: [] };
      return { rcode: 'NOERROR', records: [{ name: question.name, type: 'A', ttl: 1, data: '192.0.2.77' }] };
    };
    const session = new DnsSession({ exchange });
    expect(await session.resolve4('any.example')).toStrictEqual(['192.0.2.77']);
    expect(asked).toStrictEqual([{ name: 'any.example', type: 'A' }]);
    await expect(session.resolve4('odd.example')).rejects.toThrow(failsWith('EBADRESP'));
    const broken = new DnsSession({ exchange: () => Promise.reject(new TypeError('a mistake')) });
    await expect(broken.resolve4('any.example')).rejects.toThrow(TypeError);
  });
});

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A server that says "ask by TCP" by UDP, and `reply` by TCP. */
async function truncating(reply: string): Promise<AsyncDisposable & { address: string }> {
  const tcp = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(reply, 'latin1'));
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => {
    query[2] = 0x82;
    udp.send(query, from.port, from.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      udp.close();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}
