/** DNS messages (RFC 1035, 2181, 6891) and names of any octets: what is read, and what is refused. */
import { describe, expect, it } from '@jest/globals';
import packet from 'dns-packet';
import type { DnsQuestion, DnsRecordType } from 'tsmilter/dns';
import { canonicalName, labelsOf, textOfLabels } from '#lib/dns/names.js';
import { decodeAnswer, encodeQuestion } from '#lib/dns/wire.js';
import { mxData, pointer, questionEnd, reply, TYPE, type WireReply, wireName } from '../support/hostile-dns';
import { randomNumbers } from '../support/random';

const QUESTION: DnsQuestion = { name: 'www.example.com', type: 'A' };
const ID = 0x1234;
const A = Buffer.from([192, 0, 2, 1]);

const asking = (type: DnsRecordType, name = QUESTION.name) => ({ name, type });
const query = (question: DnsQuestion) => encodeQuestion(ID, question, true);
const read = (message: WireReply, question = QUESTION) =>
  decodeAnswer(reply(query(question), message), ID, question);
const dataOf = (type: 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR', data: Buffer) =>
  read({ answers: [{ type: TYPE[type], data }] }, asking(type))?.records.map((record) => record.data);

describe('names in presentation format (RFC 1035 5.1)', () => {
  const cases: [text: string, octets: string, written?: string][] = [
    ['a.example', '\x01a\x07example'],
    ['a.example.', '\x01a\x07example', 'a.example'],
    ['a\\.b.example', '\x03a.b\x07example'],
    ['a\\\\b', '\x03a\\b'],
    ['\\000\\255', '\x02\x00\xff'],
    ['\\065\\b', '\x02Ab', 'Ab'],
    ['a b', '\x03a b'],
    ['a\x01b', '\x03a\x01b', 'a\\001b'],
    ['a\\.', '\x02a.'],
    ['a"();@$b', '\x08a"();@$b', 'a\\"\\(\\)\\;\\@\\$b'],
    ['_dmarc.x', '\x06_dmarc\x01x'],
    ['x'.repeat(63), `\x3f${'x'.repeat(63)}`],
  ];
  for (const [text, octets, written = text] of cases) {
    it(JSON.stringify(text).slice(0, 40), () => {
      const labels = labelsOf(text) ?? [];
      const wire = labels.map((label) => String.fromCharCode(label.length) + label.toString('latin1'));
      expect(wire.join('')).toBe(octets);
      expect(canonicalName(text)).toBe(written);
      expect(canonicalName(written)).toBe(written);
    });
  }

  it('are refused if DNS cannot have them, or if text does not say which octets are meant', () => {
    const long = `${'x'.repeat(63)}.`.repeat(3);
    expect(canonicalName(long + 'x'.repeat(61))).toBeDefined();
    for (const text of [
      '',
      '.',
      'a..b',
      '.a',
      'x'.repeat(64),
      long + 'x'.repeat(62),
      'a\\',
      'a\\1',
      'a\\12b',
      'a\\256',
      'grün.example',
      'a\u0430.example',
      'a\ud800',
      '\\001'.repeat(64),
      'x'.repeat(1_000_000),
    ]) {
      expect(canonicalName(text)).toBeUndefined();
    }
  });

  it('of random octets come back', () => {
    const random = randomNumbers(1);
    for (let round = 0; round < 1000; round++) {
      const labels = Array.from({ length: 1 + random(4) }, () =>
        Buffer.from(Array.from({ length: 1 + random(20) }, () => random(256))),
      );
      const text = textOfLabels(labels);
      expect(text).toMatch(/^[ -~]+$/);
      expect(labelsOf(text)).toStrictEqual(labels);
    }
  });
});

describe('a question', () => {
  it('has one name, class IN, recursion desired, and EDNS for answers of 1,232 octets', () => {
    const decoded = packet.decode(encodeQuestion(7, asking('TXT', 's._domainkey.example.com'), true));
    expect(decoded).toMatchObject({ id: 7, type: 'query', flag_rd: true, flag_tc: false });
    expect(decoded.questions).toStrictEqual([{ name: 's._domainkey.example.com', type: 'TXT', class: 'IN' }]);
    expect(decoded.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, ednsVersion: 0 }]);
    expect(packet.decode(encodeQuestion(7, QUESTION, false)).additionals).toStrictEqual([]);
  });

  it('may have any octets in its labels', () => {
    const bytes = encodeQuestion(1, asking('A', 'a b.\\000\\.\\255.test'), false);
    expect(bytes.subarray(12, -4)).toStrictEqual(wireName('a b', '\x00.\xff', 'test'));
    const answered = reply(bytes, { answers: [{ type: TYPE.A, data: A }] });
    expect(decodeAnswer(answered, 1, asking('A', 'A B.\\000\\.\\255.test'))?.records).toHaveLength(1);
  });
});

describe('an answer', () => {
  it('has the records that another implementation writes', () => {
    const random = randomNumbers(2);
    const label = () =>
      Array.from({ length: 1 + random(10) }, () => String.fromCharCode(97 + random(26))).join('');
    const name = () => Array.from({ length: 1 + random(4) }, label).join('.');
    const octets = (count: number) => Array.from({ length: count }, () => random(256));
    const data: Record<DnsRecordType, () => unknown> = {
      A: () => octets(4).join('.'),
      AAAA: () => `2001:db8:${Array.from({ length: 6 }, () => (1 + random(0xffff)).toString(16)).join(':')}`,
      CNAME: name,
      NS: name,
      PTR: name,
      MX: () => ({ preference: random(0x10000), exchange: name() }),
      TXT: () => Array.from({ length: 1 + random(3) }, () => Buffer.from(octets(random(256)))),
    };
    const seen = (type: string, value: unknown) => {
      if (type === 'TXT') return (value as Buffer[]).map((text) => text.toString('latin1'));
      if (type !== 'MX') return value;
      const { preference, exchange } = value as { preference: number; exchange: string };
      return { priority: preference, exchange };
    };
    const types = Object.keys(data) as DnsRecordType[];
    for (let round = 0; round < 500; round++) {
      const question = asking(types[random(types.length)] as DnsRecordType, name());
      const answers = Array.from({ length: random(6) }, () => {
        const type = types[random(types.length)] as DnsRecordType;
        return { name: name(), type, ttl: random(100_000), data: data[type]() };
      });
      const bytes = packet.encode({
        type: 'response',
        id: ID,
        questions: [question],
        answers: answers as packet.Answer[],
      });
      expect(decodeAnswer(bytes, ID, question)).toMatchObject({
        rcode: 'NOERROR',
        records: answers.map((record) => ({ ...record, data: seen(record.type, record.data) })),
      });
    }
  });

  it('is written in full where its names are compressed', () => {
    const message = read(
      {
        answers: [
          { type: TYPE.CNAME, data: Buffer.concat([wireName('alias').subarray(0, -1), pointer(16)]) },
          { type: TYPE.A, data: A, name: pointer(questionEnd(query(QUESTION)) + 12) },
        ],
      },
      QUESTION,
    );
    expect(message?.records).toStrictEqual([
      { name: 'www.example.com', type: 'CNAME', ttl: 300, data: 'alias.example.com' },
      { name: 'alias.example.com', type: 'A', ttl: 300, data: '192.0.2.1' },
    ]);
  });

  it('has octets of names escaped, so that different names stay different', () => {
    expect(dataOf('PTR', wireName('a.b', 'evil\r\n\x1b[2J\xe9', 'test'))).toStrictEqual([
      'a\\.b.evil\\013\\010\\027[2J\\233.test',
    ]);
    expect(dataOf('MX', mxData(10, wireName('a\x00b', 'test')))).toStrictEqual([
      { priority: 10, exchange: 'a\\000b.test' },
    ]);
    const record = { type: TYPE.A, data: A, name: wireName('www.example', 'com') };
    expect(read({ answers: [record] })?.records[0]?.name).toBe('www\\.example.com');
  });

  it('has a null MX as an empty name', () => {
    expect(dataOf('MX', mxData(0, wireName()))).toStrictEqual([{ priority: 0, exchange: '' }]);
  });

  it('has addresses as node:dns writes them', () => {
    const ipv6 = (...groups: number[]) =>
      dataOf('AAAA', Buffer.from(groups.flatMap((g) => [g >> 8, g & 255])));
    expect(ipv6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)).toStrictEqual(['2001:db8::1']);
    expect(ipv6(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201)).toStrictEqual(['::ffff:192.0.2.1']);
    expect(ipv6(0, 0, 0, 0, 0, 0, 0, 0)).toStrictEqual(['::']);
  });

  it('keeps the strings of a text apart, also empty ones', () => {
    expect(dataOf('TXT', Buffer.from('\x02ab\x00\x01\xe9', 'latin1'))).toStrictEqual([['ab', '', '\xe9']]);
  });

  it('counts a TTL above 2^31 as 0 (RFC 2181 8)', () => {
    expect(read({ answers: [{ type: TYPE.A, data: A, ttl: 0x80000000 }] })?.records[0]?.ttl).toBe(0);
    expect(read({ answers: [{ type: TYPE.A, data: A, ttl: 0x7fffffff }] })?.records[0]?.ttl).toBe(0x7fffffff);
  });

  it('says how long its negative part is valid: the lower of TTL and MINIMUM of the SOA (RFC 2308 5)', () => {
    const soa = (ttl: number, minimum: number) => {
      const numbers = Buffer.alloc(20);
      numbers.writeUInt32BE(minimum, 16);
      return { type: TYPE.SOA, ttl, data: Buffer.concat([wireName('ns'), wireName('root'), numbers]) };
    };
    expect(read({ rcode: 3, authority: [soa(900, 60)] })?.negativeTtl).toBe(60);
    expect(read({ rcode: 3, authority: [soa(30, 60)] })?.negativeTtl).toBe(30);
    expect(read({ rcode: 3 })?.negativeTtl).toBeUndefined();
  });

  it('has the upper bits of its rcode in the OPT record (RFC 6891 6.1.3)', () => {
    const opt = (ttl: number) => ({
      type: TYPE.OPT,
      class: 1232,
      ttl,
      name: wireName(),
      data: Buffer.alloc(0),
    });
    expect(read({ additional: [opt(0)] })).toMatchObject({ rcode: 'NOERROR' });
    expect(read({ additional: [opt(0x01000000)] })).toMatchObject({ rcode: 'BADVERS' });
    expect(read({ rcode: 7 })).toMatchObject({ rcode: 'RCODE7' });
  });

  it('leaves out other classes and unknown types', () => {
    const answers = [
      { type: TYPE.A, data: A, class: 3 },
      { type: 99, data: Buffer.from('spf') },
    ];
    expect(read({ answers })?.records).toStrictEqual([]);
  });

  it('is truncated: its records are not read, because the last may be incomplete', () => {
    const cut = reply(query(QUESTION), { flags: 0x8380, answers: [{ type: TYPE.A, data: A }] }).subarray(
      0,
      -2,
    );
    expect(decodeAnswer(cut, ID, QUESTION)).toMatchObject({ truncated: true, records: [] });
  });
});

describe('what is not an answer to the question is ignored', () => {
  const good = reply(query(QUESTION), { answers: [{ type: TYPE.A, data: A }] });
  const changed = (at: number, octet: number) => {
    const bytes = Buffer.from(good);
    bytes[at] = octet;
    return bytes;
  };
  const end = questionEnd(good);
  const cases: [string, Buffer][] = [
    ['another id', changed(0, 0x13)],
    ['a question', changed(2, 0x01)],
    ['another operation', changed(2, 0xa9)],
    ['another name', changed(13, 'x'.charCodeAt(0))],
    ['another type', changed(end - 3, TYPE.TXT)],
    ['another class', changed(end - 1, 3)],
    ['no question', Buffer.concat([changed(5, 0).subarray(0, 12), good.subarray(end)])],
    ['two questions', changed(5, 2)],
    ['a few octets', good.subarray(0, 11)],
    ['nothing', Buffer.alloc(0)],
  ];
  for (const [what, bytes] of cases) {
    it(what, () => expect(decodeAnswer(bytes, ID, QUESTION)).toBeUndefined());
  }

  it('a failure without the question is one, though', () => {
    const header = Buffer.from(good.subarray(0, 12));
    for (const [rcode, name] of [
      [1, 'FORMERR'],
      [2, 'SERVFAIL'],
      [4, 'NOTIMP'],
      [5, 'REFUSED'],
    ] as const) {
      header.writeUInt16BE(0x8180 | rcode, 2);
      header.fill(0, 4);
      expect(decodeAnswer(header, ID, QUESTION)).toMatchObject({ rcode: name, records: [] });
    }
  });

  it('letters of the name may be in either case', () => {
    const bytes = Buffer.from(good);
    bytes.write('WwW', 13);
    expect(decodeAnswer(bytes, ID, QUESTION)?.records).toHaveLength(1);
  });
});

describe('a malformed answer is refused', () => {
  const start = questionEnd(query(QUESTION));
  const cases: [string, WireReply, DnsRecordType?][] = [
    ['an address of 2 octets', { answers: [{ type: TYPE.A, data: A.subarray(2) }] }],
    ['an address of 8 octets', { answers: [{ type: TYPE.A, data: Buffer.concat([A, A]) }] }],
    [
      'an address that ends with the message',
      { answers: [{ type: TYPE.A, data: A.subarray(2), length: 4 }] },
    ],
    ['an IPv6 address of 4 octets', { answers: [{ type: TYPE.AAAA, data: A }] }, 'AAAA'],
    ['an unknown class', { answers: [{ type: TYPE.A, data: A, class: 2 }] }],
    ['fewer records than it says', { answers: [{ type: TYPE.A, data: A }], count: 2 }],
    ['a text without strings', { answers: [{ type: TYPE.TXT, data: Buffer.alloc(0) }] }, 'TXT'],
    [
      'a string longer than its record',
      { answers: [{ type: TYPE.TXT, data: Buffer.from('\x05ab') }] },
      'TXT',
    ],
    ['an MX without a name', { answers: [{ type: TYPE.MX, data: Buffer.from([0, 1]) }] }, 'MX'],
    [
      'an MX with more than a name',
      { answers: [{ type: TYPE.MX, data: mxData(1, Buffer.from('\x01a\0x')) }] },
      'MX',
    ],
    ['a name that leaves its record', { answers: [{ type: TYPE.PTR, data: Buffer.from('\x05ab') }] }, 'PTR'],
    ['a pointer forward', { answers: [{ type: TYPE.A, data: A, name: pointer(start + 20) }] }],
    ['a pointer to itself', { answers: [{ type: TYPE.A, data: A, name: pointer(start) }] }],
    ['a label of type 01', { answers: [{ type: TYPE.A, data: A, name: Buffer.from([0x41, 0]) }] }],
    [
      'a name of 256 octets',
      { answers: [{ type: TYPE.A, data: A, name: wireName(...Array.from({ length: 85 }, () => 'ab')) }] },
    ],
    ['a broken record in another section', { authority: [{ type: TYPE.NS, data: Buffer.from([9]) }] }],
  ];
  for (const [what, message, type = 'A'] of cases) {
    it(what, () => expect(() => read(message, asking(type as DnsRecordType))).toThrow(/./));
  }

  it('a name of 255 octets is not', () => {
    const labels = Array.from({ length: 84 }, () => 'ab');
    expect(
      read({ answers: [{ type: TYPE.A, data: A, name: wireName(...labels, 'a') }] })?.records,
    ).toHaveLength(1);
  });
});

describe('hostile messages', () => {
  it('have an answer, none, or an error, whatever is changed in them', () => {
    const random = randomNumbers(3);
    const seeds = [
      reply(query(QUESTION), { answers: [{ type: TYPE.A, data: A }] }),
      reply(query(QUESTION), { answers: [{ type: TYPE.MX, data: mxData(1, pointer(12)) }] }),
      reply(query(QUESTION), {
        answers: [{ type: TYPE.CNAME, data: wireName('a', 'b') }],
        authority: [{ type: TYPE.SOA, data: Buffer.alloc(22) }],
        additional: [{ type: TYPE.OPT, class: 1232, name: wireName(), data: Buffer.alloc(0) }],
      }),
    ];
    const outcomes = new Set<string>();
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.from(seeds[random(seeds.length)] as Buffer);
      for (let change = 0; change <= random(4); change++) bytes[2 + random(bytes.length - 2)] = random(256);
      try {
        const answer = decodeAnswer(bytes.subarray(0, 1 + random(bytes.length * 2)), ID, QUESTION);
        outcomes.add(answer === undefined ? 'none' : 'answer');
      } catch (error) {
        expect((error as Error).constructor.name).toBe('MalformedAnswer');
        outcomes.add('error');
      }
    }
    expect([...outcomes].sort()).toStrictEqual(['answer', 'error', 'none']);
  });

  it('cannot waste time with pointers that lead to pointers', () => {
    // 64 KiB: a chain of pointers, each to the one before, and records whose names are the end of the chain.
    const head = reply(query(QUESTION), { count: 3000 });
    const fields = (length: number) => Buffer.from([0, 99, 0, 1, 0, 0, 0, 0, length >> 8, length & 0xff]);
    const chain = Buffer.alloc(16_000);
    const first = Buffer.concat([head, wireName(), fields(chain.length)]);
    for (let at = 0; at < chain.length; at += 2)
      pointer(at === 0 ? 12 : first.length + at - 2).copy(chain, at);
    const message = (pointers: number) => {
      const record = Buffer.concat([pointer(first.length + 2 * (pointers - 2)), fields(0)]);
      return Buffer.concat([first, chain, ...Array.from({ length: 2999 }, () => record)]);
    };
    expect(decodeAnswer(message(127), ID, QUESTION)).toMatchObject({ rcode: 'NOERROR' });
    for (const pointers of [128, 8000]) {
      expect(() => decodeAnswer(message(pointers), ID, QUESTION)).toThrow(/pointer/);
    }
  });
});
