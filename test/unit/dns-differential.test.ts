/**
 * tsmilter/dns beside c-ares, through a Resolver of node:dns, on the same hostile servers: the same answers, and no more
 * questions that wait in vain.
 */
import { promises as nodeDns } from 'node:dns';
import { afterEach, describe, expect, it } from '@jest/globals';
import { DnsSession } from 'tsmilter/dns';
import { freePort } from '../../tools/free-ports';
import { expectThat } from '../support/expect';
import {
  type Answering,
  HostileDns,
  type HostileQuery,
  mxData,
  pointer,
  questionEnd,
  reply,
  TYPE,
  type WireRecord,
  type WireReply,
  wireName,
} from '../support/hostile-dns';
import { randomNumbers } from '../support/random';

type Type = 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR';
interface Manner {
  readonly timeout?: number;
  readonly tries?: number;
}

const NAME = 'www.example.com';
const A = Buffer.from([192, 0, 2, 1]);

/** Codes that both have in common; c-ares distinguishes more kinds of a server's failure. */
const SAME: Partial<Record<string, string>> = {
  EFORMERR: 'EBADRESP',
  ENOTIMP: 'EBADRESP',
  ECONNREFUSED: 'ESERVFAIL',
};

async function outcomeOf(lookup: Promise<unknown>): Promise<unknown> {
  try {
    return await lookup;
  } catch (error) {
    const { code } = error as { code: string };
    return SAME[code] ?? code;
  }
}

const ours = (servers: readonly string[], type: Type, { timeout = 20_000, tries = 1 }: Manner = {}) =>
  outcomeOf(new DnsSession({ servers, timeout, tries }).resolve(NAME, type));

function cares(servers: readonly string[], type: Type, { timeout = 20_000, tries = 1 }: Manner = {}) {
  const resolver = new nodeDns.Resolver({ timeout, tries });
  resolver.setServers(servers);
  return outcomeOf(resolver.resolve(NAME, type as 'A'));
}

const running: HostileDns[] = [];
async function serve(answer: Answering): Promise<HostileDns> {
  const server = await HostileDns.start(answer);
  running.push(server);
  return server;
}
afterEach(async () => {
  for (const server of running.splice(0)) await server[Symbol.asyncDispose]();
});

const replies =
  (message: WireReply, change: (bytes: Buffer) => Buffer = (bytes) => bytes): Answering =>
  ({ bytes }) =>
    change(reply(bytes, message));
const has = (...answers: WireRecord[]) => replies({ answers });
const address: WireRecord = { type: TYPE.A, data: A };

describe('the same answers', () => {
  const names: [string, Buffer][] = [
    ['a plain name', wireName('Mail-1', 'example', 'com')],
    ['control characters', wireName('a\r\n\x00\x1b\x7f', 'test')],
    ['octets above 127', wireName('\x80\xe9\xff', 'test')],
    ['dots and backslashes in labels', wireName('a.b\\c', 'test')],
    ['special characters', wireName('"();@$ <>', 'test')],
    ['the root', wireName()],
    ['a compressed name', Buffer.concat([wireName('mx').subarray(0, -1), pointer(16)])],
    ['a name of 255 octets', wireName(...Array.from({ length: 3 }, () => 'x'.repeat(63)), 'x'.repeat(61))],
  ];
  const cases: [what: string, answer: Answering, type?: Type][] = [
    ['an address', has(address)],
    ['several addresses', has(address, address)],
    [
      'an IPv6 address',
      has({ type: TYPE.AAAA, data: Buffer.from('20010db8000000000000000000000001', 'hex') }),
      'AAAA',
    ],
    [
      'an IPv4-mapped address',
      has({ type: TYPE.AAAA, data: Buffer.from('00000000000000000000ffffc0000201', 'hex') }),
      'AAAA',
    ],
    [
      'texts of several strings and octets',
      has({ type: TYPE.TXT, data: Buffer.from('\x02ab\x00\x02\x00\xff', 'latin1') }),
      'TXT',
    ],
    ['no record', has()],
    ['a record of another type', has({ type: TYPE.TXT, data: Buffer.from('\x01a') })],
    ['a record of another class', has({ ...address, class: 3 })],
    [
      'an alias and its target',
      has({ type: TYPE.CNAME, data: wireName('x') }, { ...address, name: wireName('x') }),
    ],
    ['NXDOMAIN', replies({ rcode: 3 })],
    ['SERVFAIL', replies({ rcode: 2 })],
    ['REFUSED', replies({ rcode: 5 })],
    ['FORMERR', replies({ rcode: 1 })],
    ['NOTIMP', replies({ rcode: 4 })],
    [
      'octets behind the message',
      replies({ answers: [address] }, (bytes) => Buffer.concat([bytes, Buffer.from('x')])),
    ],
    ['an address of 2 octets', has({ type: TYPE.A, data: A.subarray(2) })],
    ['an address cut off', has({ type: TYPE.A, data: A.subarray(2), length: 4 })],
    ['fewer records than announced', replies({ answers: [address], count: 2 })],
    ['more records than announced', replies({ answers: [address, address], count: 1 })],
    [
      'a pointer to itself',
      has({ ...address, name: pointer(12 + wireName('www', 'example', 'com').length + 4) }),
    ],
    ['a pointer behind the message', has({ ...address, name: pointer(5000) })],
    ['a label of an unknown kind', has({ ...address, name: Buffer.from([0x41, 0]) })],
    ['a text without strings', has({ type: TYPE.TXT, data: Buffer.alloc(0) }), 'TXT'],
    ['a string longer than its record', has({ type: TYPE.TXT, data: Buffer.from('\x05ab') }), 'TXT'],
    ['a null MX', has({ type: TYPE.MX, data: mxData(0, wireName()) }), 'MX'],
    ['a cut question', replies({}, (bytes) => bytes.subarray(0, 20))],
    [
      'truncation, and the rest over TCP',
      ({ bytes, tcp }) => reply(bytes, tcp ? { answers: [address] } : { flags: 0x8380 }),
    ],
    ['truncation, and TCP that closes', ({ bytes, tcp }) => (tcp ? '' : reply(bytes, { flags: 0x8380 }))],
    ...names.map(([what, data]): [string, Answering, Type] => [
      `PTR: ${what}`,
      has({ type: TYPE.PTR, data }),
      'PTR',
    ]),
    ...names.map(([what, name]): [string, Answering, Type] => [
      `MX: ${what}`,
      has({ type: TYPE.MX, data: mxData(1, name) }),
      'MX',
    ]),
  ];
  for (const [what, answer, type = 'A'] of cases) {
    it(what, async () => {
      const server = await serve(answer);
      const theirs = await cares([server.address], type);
      expect(await ours([server.address], type)).toStrictEqual(theirs);
    });
  }

  it('from the next server, where one is faulty', async () => {
    const good = await serve(has(address));
    const cut = await serve(has({ type: TYPE.A, data: A.subarray(2) }));
    const silent = await serve(() => undefined);
    for (const first of [cut.address, `127.0.0.1:${await freePort()}`, silent.address]) {
      const servers = [first, good.address];
      const theirs = await cares(servers, 'A', { timeout: 300 });
      expect(await ours(servers, 'A', { timeout: 300 })).toStrictEqual(theirs);
    }
  });
});

describe('better answers, for reasons that are documented', () => {
  const cases: [what: string, answer: Answering, theirs: unknown, expected: unknown][] = [
    ['an address of another name', has({ ...address, name: wireName('other') }), ['192.0.2.1'], 'ENODATA'],
    ['an address of 8 octets', has({ type: TYPE.A, data: Buffer.concat([A, A]) }), ['192.0.2.1'], 'EBADRESP'],
    ['a failure that has no name', replies({ rcode: 9 }), 'ENODATA', 'EBADRESP'],
    [
      'truncation over TCP too',
      ({ bytes }) => reply(bytes, { flags: 0x8380, answers: [address] }),
      ['192.0.2.1'],
      'ESERVFAIL',
    ],
    [
      'an alias without its target, which is asked for',
      ({ bytes }) =>
        reply(bytes, {
          answers: bytes.includes('www') ? [{ type: TYPE.CNAME, data: wireName('x') }] : [address],
        }),
      [],
      ['192.0.2.1'],
    ],
    [
      'a forged datagram before the answer',
      ({ bytes }) => {
        const forged = Buffer.from('not DNS at all');
        if (forged.readUInt16BE(0) === bytes.readUInt16BE(0)) forged[0] = 0;
        return [forged, reply(bytes, { answers: [address] })];
      },
      'EBADRESP',
      ['192.0.2.1'],
    ],
  ];
  for (const [what, answer, theirs, expected] of cases) {
    it(what, async () => {
      const server = await serve(answer);
      expect(await cares([server.address], 'A')).toStrictEqual(theirs);
      expect(await ours([server.address], 'A')).toStrictEqual(expected);
    });
  }
});

describe('no more time', () => {
  it('is spent on silent servers: as many questions wait in vain, or fewer', async () => {
    const silent: Answering = () => undefined;
    const good = has(address);
    for (const layout of [
      [silent, good],
      [silent, silent, good],
      [good, silent],
      [silent, replies({ rcode: 3 })],
    ]) {
      const waiting: Record<string, number> = {};
      for (const which of ['ours', 'theirs']) {
        const servers = await Promise.all(layout.map(serve));
        const addresses = servers.map((server) => server.address);
        const resolver = new nodeDns.Resolver({ timeout: 200, tries: 2 });
        resolver.setServers(addresses);
        for (let lookup = 0; lookup < 4; lookup++) {
          if (which === 'ours')
            await ours(addresses, 'A', { timeout: 200, tries: 2 }); // a session for each
          else await outcomeOf(resolver.resolve4(NAME));
        }
        const vain = servers.filter((_, at) => layout[at] === silent);
        waiting[which] = vain.reduce((sum, { queries }) => sum + queries.length, 0);
      }
      expect(waiting.ours).toBe(
        layout.indexOf(good) === 0 ? 0 : layout.filter((one) => one === silent).length,
      );
      expectThat(waiting.ours, JSON.stringify(waiting)).toBeLessThanOrEqual(waiting.theirs as number);
    }
  });

  it('nor by lookups that nobody answers', async () => {
    const server = await serve(() => undefined);
    for (const tries of [1, 2, 3]) {
      server.queries.length = 0;
      expect(await cares([server.address], 'A', { timeout: 50, tries })).toBe('ETIMEOUT');
      const theirs = server.queries.length;
      expect(await ours([server.address], 'A', { timeout: 50, tries })).toBe('ETIMEOUT');
      expect(server.queries.length - theirs).toBeLessThanOrEqual(theirs);
    }
  });
});

/** The types of the records in a message, up to the first that is incomplete. */
function typesIn(message: Buffer): number[] {
  const types: number[] = [];
  let at = questionEnd(message);
  for (;;) {
    while (at < message.length && (message[at] as number) > 0 && (message[at] as number) < 0x40) {
      at += (message[at] as number) + 1;
    }
    at += (message[at] ?? 0) >= 0xc0 ? 2 : 1;
    if (at + 10 > message.length) return types;
    types.push(message.readUInt16BE(at));
    at += 10 + message.readUInt16BE(at + 8);
  }
}

describe('answers with random changes', () => {
  it('are not believed where c-ares refuses them, and no record is believed that it does not find', async () => {
    const random = randomNumbers(4);
    const seeds: [Type, WireReply][] = [
      ['A', { answers: [address, address] }],
      ['TXT', { answers: [{ type: TYPE.TXT, data: Buffer.from('\x03abc\x02de') }] }],
      ['MX', { answers: [{ type: TYPE.MX, data: mxData(10, Buffer.from('\x02mx\xc0\x10', 'latin1')) }] }],
      ['PTR', { answers: [{ type: TYPE.PTR, data: wireName('host', 'test') }] }],
      [
        'A',
        {
          answers: [
            { type: TYPE.CNAME, data: wireName('x', 'y') },
            { ...address, name: wireName('x', 'y') },
          ],
        },
      ],
    ];
    const known: readonly number[] = Object.values(TYPE);
    let hasOthers = false;
    let change: (query: HostileQuery) => Buffer = ({ bytes }) => bytes;
    // A refusal follows, so that nobody waits for an answer that is ignored.
    const server = await serve((query) => [change(query), reply(query.bytes, { rcode: 5 })]);
    const counts = { believed: 0, refused: 0 };
    for (let round = 0; round < 400; round++) {
      const [type, message] = seeds[random(seeds.length)] as [Type, WireReply];
      const changes = Array.from({ length: 1 + random(3) }, () => [random(1 << 16), random(256)] as const);
      change = ({ bytes }) => {
        const answer = reply(bytes, message);
        const start = questionEnd(answer);
        for (const [at, octet] of changes) answer[start + (at % (answer.length - start))] = octet;
        hasOthers = typesIn(answer).some((type) => !known.includes(type));
        return answer;
      };
      const theirs = await cares([server.address], type);
      const own = await ours([server.address], type);
      // c-ares also reads, and refuses, records of types that nobody has asked for.
      if (hasOthers && theirs === 'EBADRESP') continue;
      if (Array.isArray(own)) {
        counts.believed++;
        expectThat(theirs, `round ${round}, ${type}`).toEqual(expect.arrayContaining(own)); // without those of other names
      } else {
        counts.refused++;
        expectThat(own, `round ${round}, ${type}: ${theirs}`).toMatch(/^E(?:NODATA|BADRESP|REFUSED)$/);
      }
    }
    expect(counts.believed).toBeGreaterThan(50);
    expect(counts.refused).toBeGreaterThan(50);
  });
});
