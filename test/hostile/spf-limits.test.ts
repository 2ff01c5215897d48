/** tsmilter/spf: what a stranger can make it do has an end (RFC 7208 4.6.4), in DNS, in time and in memory. */
import { describe, expect, it } from '@jest/globals';
import { checkSpf, type SpfOptions, type SpfResolver } from 'tsmilter/spf';
import type { Zone } from '../../tools/dns-server';
import { cpuTime } from '../support/cpu-time';
import { expectThat } from '../support/expect';
import { nodeProcess } from '../support/node-process';
import { CLIENT, SpfBench, txt } from '../support/spf';

const bench = new SpfBench();
const rows = bench.rows.bind(bench);

const spf = (record: string) => ({ TXT: txt(record) });
const times = (count: number, text: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => text(at)).join(' ');
/** Hosts of other addresses than the client's. */
const hosts = (count: number): Zone =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`h${at}.test`, { A: ['192.0.2.99'] }]));

describe('maxLookups: terms that need DNS', () => {
  const a = (count: number) => times(count, (at) => `a:h${at}.test`);
  const zone = hosts(20);
  const tooMany = (options: SpfOptions = {}) => ({ zone, options, is: { problem: /maxLookups\)/ } });
  rows([
    ['ten', `v=spf1 ${a(10)} +all`, 'pass', { zone, is: { lookups: 10 } }],
    ['eleven', `v=spf1 ${a(11)} +all`, 'permerror', tooMany()],
    [
      'eleven, but the tenth matches',
      `v=spf1 ${a(9)} a:here.test ${a(1)} -all`,
      'pass',
      {
        zone: { ...zone, 'here.test': { A: ['192.0.2.1'] } },
        is: { lookups: 10 },
      },
    ],
    [
      'ip4, ip6, all, exp and others are free',
      `v=spf1 ${a(10)} ${times(30, (at) => `ip4:192.0.2.${100 + at} ip6:::${at}`)} x=y -all exp=e.test`,
      'fail',
      {
        zone: { ...zone, 'e.test': { TXT: ['No.'] } },
        is: { lookups: 10, explanation: 'No.' },
      },
    ],
    [
      'of all records together',
      'v=spf1 include:one.test a:h1.test',
      'permerror',
      {
        ...tooMany(),
        zone: { ...zone, 'one.test': spf(`v=spf1 ${a(9)} -all`) },
      },
    ],
    [
      'of all records together, at the limit',
      'v=spf1 include:one.test a:h1.test +all',
      'pass',
      {
        zone: { ...zone, 'one.test': spf(`v=spf1 ${a(8)} -all`) },
        is: { lookups: 10 },
      },
    ],
    [
      'a redirect is one',
      `v=spf1 ${a(10)} redirect=one.test`,
      'permerror',
      { ...tooMany(), zone: { ...zone, 'one.test': spf('v=spf1 +all') } },
    ],
    [
      'each kind is one',
      'v=spf1 a mx ptr exists:h1.test include:h1.test redirect=h1.test',
      'permerror',
      {
        ...tooMany({ maxLookups: 3, maxVoidLookups: 9 }),
        is: { problem: /more than 3 terms .*: exists:h1\.test/, lookups: 3 },
      },
    ],
    ['a higher limit', `v=spf1 ${a(15)} +all`, 'pass', { zone, options: { maxLookups: 15 } }],
    [
      'none at all',
      'v=spf1 a +all',
      'permerror',
      { ...tooMany({ maxLookups: 0 }), asks: ['TXT example.com'] },
    ],
    ['the same host again', `v=spf1 ${times(11, () => 'a:h1.test')} +all`, 'permerror', tooMany()],
    [
      'include in a circle',
      'v=spf1 include:one.test',
      'permerror',
      {
        ...tooMany(),
        zone: { 'one.test': spf('v=spf1 include:example.com') },
      },
    ],
    // Whether DNS answers in time does not matter after that.
    [
      'before what comes after',
      `v=spf1 ${a(10)} a:silent.test`,
      'permerror',
      { ...tooMany(), zone: { ...zone, 'silent.test': { fault: 'silence' } } },
    ],
  ]);
});

describe('maxVoidLookups: terms that DNS has nothing for', () => {
  const zone: Zone = { 'empty.test': { TXT: ['x'] }, ...hosts(3) };
  const tooMany = { zone, is: { problem: /more than 2 terms \(maxVoidLookups\)/ } };
  rows([
    ['two', 'v=spf1 a:no.test a:none.test +all', 'pass', { zone }],
    ['three', 'v=spf1 a:no.test a:none.test a:nowhere.test +all', 'permerror', tooMany],
    [
      'no record is nothing, too',
      'v=spf1 a:empty.test mx:empty.test exists:empty.test +all',
      'permerror',
      tooMany,
    ],
    ['each kind counts', 'v=spf1 a:no.test mx:no.test exists:no.test +all', 'permerror', tooMany],
    [
      'others between do not matter',
      'v=spf1 a:no.test a:h1.test mx:no.test a:h2.test exists:no.test +all',
      'permerror',
      tooMany,
    ],
    [
      'of all records together',
      'v=spf1 include:one.test a:nowhere.test +all',
      'permerror',
      {
        ...tooMany,
        zone: { 'one.test': spf('v=spf1 a:no.test a:none.test -all') },
      },
    ],
    [
      'a higher limit',
      'v=spf1 a:no.test a:none.test a:nowhere.test +all',
      'pass',
      { options: { maxVoidLookups: 3 } },
    ],
    ['none at all', 'v=spf1 a:no.test +all', 'permerror', { options: { maxVoidLookups: 0 } }],
    [
      'the mail servers of one mx that are not there are one',
      'v=spf1 mx:mx.test a:no.test +all',
      'pass',
      {
        zone: {
          'mx.test': {
            MX: ['a', 'b', 'c', 'd'].map((exchange) => ({ exchange: `${exchange}.test`, priority: 1 })),
          },
        },
      },
    ],
    [
      'ptr does not count: it is the client whose names they are',
      'v=spf1 ptr:a.test a:no.test a:none.test exists:%{p}.here.test +all',
      'pass',
      {
        zone: {
          '1.2.0.192.in-addr.arpa': { PTR: ['a.test', 'b.test', 'c.test'] },
          'unknown.here.test': { A: ['127.0.0.2'] },
        },
      },
    ],
    [
      'a host that has IPv4 only is there for IPv6',
      `v=spf1 ${times(3, (at) => `a:h${at}.test`)} +all`,
      'pass',
      { zone, ip: '2001:db8::1' },
    ],
    [
      'a host that is not there is not',
      'v=spf1 a:no.test a:none.test a:nowhere.test +all',
      'permerror',
      { ...tooMany, ip: '2001:db8::1' },
    ],
    ['exp does not count', 'v=spf1 a:no.test a:none.test -all exp=nowhere.test', 'fail'],
  ]);
});

describe('maxMx: mail servers of one mx', () => {
  const mx = (count: number): Zone => ({
    ...hosts(20),
    'here.test': { A: ['192.0.2.1'] },
    'mx.test': {
      MX: Array.from({ length: count }, (_, at) => ({
        exchange: at === 0 ? 'here.test' : `h${at}.test`,
        priority: 100 - at,
      })),
    },
  });
  rows([
    ['ten', 'v=spf1 mx:mx.test -all', 'pass', { zone: mx(10), is: { lookups: 1 } }],
    [
      'eleven',
      'v=spf1 mx:mx.test +all',
      'permerror',
      {
        zone: mx(11),
        is: { problem: 'more than 10 mail servers (maxMx): mx:mx.test' },
        asks: ['TXT example.com', 'MX mx.test'],
      },
    ],
    ['a higher limit', 'v=spf1 mx:mx.test -all', 'pass', { zone: mx(11), options: { maxMx: 11 } }],
    ['none at all', 'v=spf1 mx:mx.test +all', 'permerror', { zone: mx(1), options: { maxMx: 0 } }],
  ]);
});

describe("maxPtr: names of the client's address", () => {
  const ptr = (count: number): Zone => ({
    'here.test': { A: ['192.0.2.1'] },
    '1.2.0.192.in-addr.arpa': {
      PTR: [...Array.from({ length: count - 1 }, (_, at) => `h${at}.test`), 'here.test'],
    },
  });
  rows([
    ['the tenth', 'v=spf1 ptr:here.test -all', 'pass', { zone: ptr(10) }],
    ['the eleventh is passed over', 'v=spf1 ptr:here.test -all', 'fail', { zone: ptr(11) }],
    [
      'for macro p, too',
      'v=spf1 exists:%{p}.a.test -all',
      'fail',
      { zone: { ...ptr(11), 'here.test.a.test': { A: ['127.0.0.1'] } } },
    ],
    ['a higher limit', 'v=spf1 ptr:here.test -all', 'pass', { zone: ptr(11), options: { maxPtr: 11 } }],
    ['none at all', 'v=spf1 ptr:here.test -all', 'fail', { zone: ptr(1), options: { maxPtr: 0 } }],
  ]);

  it('limits the number of queries, without a warning of too many listeners', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    nodeProcess.on('warning', listen);
    await bench.check('v=spf1 ptr:here.test -all', { zone: ptr(50), options: { maxPtr: 40 } });
    await new Promise(setImmediate);
    nodeProcess.off('warning', listen);
    expect(warnings).toStrictEqual([]);
    expect(bench.server.queries.filter((question) => question.startsWith('A '))).toHaveLength(40);
  });
});

describe('maxRecordLength: characters of a record', () => {
  const record = (length: number) =>
    `v=spf1 ${'x=y '.repeat(Math.ceil(length / 4))}`.slice(0, length - 5).concat(' +all');
  const is = {
    problem: /^the SPF record of example\.com is longer than \d+ characters \(maxRecordLength\)$/,
  };
  rows([
    ['as long as it may be', record(16_384), 'pass'],
    ['one more', record(16_385), 'permerror', { is }],
    ['another limit', record(101), 'permerror', { options: { maxRecordLength: 100 }, is }],
    ['another limit, kept', record(100), 'pass', { options: { maxRecordLength: 100 } }],
    [
      'a record of something else may be longer',
      '',
      'pass',
      {
        options: { maxRecordLength: 20 },
        zone: { 'example.com': { TXT: ['x'.repeat(200), 'v=spf1 +all'] } },
      },
    ],
    [
      'an explanation',
      'v=spf1 -all exp=e.test',
      'fail',
      {
        options: { maxRecordLength: 30 },
        zone: { 'e.test': { TXT: ['x'.repeat(31)] } },
        is: { explainedBy: null },
      },
    ],
  ]);
});

describe("maxMacroValue: characters of the sender's local part and of the HELO name, for macros", () => {
  const sender = (length: number) => `${'a'.repeat(length - 2)}.b@example.com`;
  const zone: Zone = { 'b.x.test': { A: ['127.0.0.2'] } };
  const none = { asks: ['TXT example.com'] };
  rows([
    ['as long as it may be', 'v=spf1 exists:%{l1}.x.test -all', 'pass', { sender: sender(1024), zone }],
    [
      'a longer one matches nothing',
      'v=spf1 exists:%{l1}.x.test ~all',
      'softfail',
      { sender: sender(1026), zone, ...none },
    ],
    [
      'a longer one in the sender',
      'v=spf1 include:%{s}.test ~all',
      'softfail',
      { sender: sender(1026), ...none },
    ],
    [
      'a longer one does not matter elsewhere',
      'v=spf1 exists:%{o}.test -all',
      'pass',
      {
        sender: sender(10_000),
        zone: { 'example.com.test': { A: ['127.0.0.2'] } },
      },
    ],
    [
      'another limit',
      'v=spf1 exists:%{l}.x.test ~all',
      'softfail',
      { sender: 'abcdef@example.com', options: { maxMacroValue: 5 }, ...none },
    ],
    ['HELO', 'v=spf1 exists:%{h1}.test ~all', 'softfail', { helo: 'x'.repeat(1025), ...none }],
    [
      'megabytes',
      'v=spf1 exists:%{h1}.%{l1}.test ~all',
      'softfail',
      { sender: sender(5_000_000), helo: 'x'.repeat(5_000_000), ...none },
    ],
    [
      'megabytes of a domain',
      'v=spf1 +all',
      'none',
      { sender: `ann@${'ü.'.repeat(2_000_000)}test`, asks: [] },
    ],
  ]);
});

describe('maxExplanation: characters of the explanation', () => {
  const says = (text: string, options: SpfOptions = {}) => ({
    options,
    zone: { 'e.test': { TXT: txt(text) } },
  });
  const record = 'v=spf1 -all exp=e.test';
  rows([
    [
      'as long as it may be',
      record,
      'fail',
      { ...says('x'.repeat(400)), is: { explanation: 'x'.repeat(400) } },
    ],
    ['one more', record, 'fail', { ...says('x'.repeat(401)), is: { explanation: 'x'.repeat(400) } }],
    [
      'by macros',
      record,
      'fail',
      { ...says('%{d}'.repeat(1000)), is: { explanation: 'example.com'.repeat(40).slice(0, 400) } },
    ],
    [
      'another limit',
      record,
      'fail',
      { ...says('x'.repeat(99), { maxExplanation: 50 }), is: { explanation: 'x'.repeat(50) } },
    ],
    [
      'of yours',
      'v=spf1 -all',
      'fail',
      {
        options: { maxExplanation: 16, defaultExplanation: '%{d}%{d}' },
        is: { explanation: 'example.comexamp' },
      },
    ],
    [
      'of ours',
      'v=spf1 -all',
      'fail',
      { options: { maxExplanation: 16 }, is: { explanation: '192.0.2.1 may...' } },
    ],
  ]);
});

describe('maxTime, and a signal', () => {
  /** Never answers, and knows nothing of signals. */
  const deaf = (): SpfResolver => {
    const never = () => new Promise<never>(() => {});
    return {
      resolve4: never,
      resolve6: never,
      resolveMx: never,
      resolveTxt: async () => [['v=spf1 a +all']],
      reverse: never,
    };
  };

  it('ends a check as a temperror', async () => {
    const check = await checkSpf(CLIENT, { resolver: deaf(), maxTime: 50 });
    expect([check.result, check.problem]).toStrictEqual([
      'temperror',
      'the check took longer than 50 ms (maxTime)',
    ]);
  });

  for (const record of ['v=spf1 ptr:a.test -all', 'v=spf1 exists:%{p}.test -all', 'v=spf1 mx:a.test -all']) {
    it(`ends a check of ${record}`, async () => {
      const resolver = { ...deaf(), resolveTxt: async () => [[record]] };
      expect((await checkSpf(CLIENT, { resolver, maxTime: 20 })).result).toBe('temperror');
    });
  }

  it('does not change a known result, only leaves out the explanation', async () => {
    for (const options of [{}, { defaultExplanation: '%{p} No.' }]) {
      const resolver = { ...deaf(), resolveTxt: async () => [['v=spf1 -all exp=%{p}.test']] };
      const { result, explainedBy, explanation } = await checkSpf(CLIENT, {
        resolver,
        maxTime: 20,
        ...options,
      });
      expect([result, explainedBy]).toStrictEqual(['fail', null]);
      expect(explanation).toBe('192.0.2.1 may not send mail in the name of ann@example.com');
    }
  });

  it('covers all look-ups together', async () => {
    const slow = async () => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return ['192.0.2.99'];
    };
    const record = `v=spf1 ${times(10, (at) => `a:h${at}.test`)} +all`;
    const resolver = { ...deaf(), resolve4: slow, resolveTxt: async () => [[record]] };
    expect((await checkSpf(CLIENT, { resolver, maxTime: 100 })).result).toBe('temperror');
    expect((await checkSpf(CLIENT, { resolver, maxTime: 20_000 })).result).toBe('pass');
  });

  it('aborts a check', async () => {
    const controller = new AbortController();
    const checked = checkSpf(CLIENT, { resolver: deaf(), signal: controller.signal });
    setImmediate(() => controller.abort());
    const { result, problem } = await checked;
    expect([result, problem]).toStrictEqual(['temperror', 'the check was aborted']);
  });

  it('aborted before the check ends it immediately', async () => {
    const check = await bench.check('v=spf1 +all', { options: { signal: AbortSignal.abort() } });
    expect(check.result).toBe('temperror');
    expect(bench.server.queries).toStrictEqual([]);
  });

  it('a look-up that fails later is not an unhandled rejection', async () => {
    let fail: (error: Error) => void = () => {};
    const late = () =>
      new Promise<never>((_, reject) => {
        fail = reject;
      });
    const check = await checkSpf(CLIENT, { resolver: { ...deaf(), resolve4: late }, maxTime: 10 });
    expect(check.result).toBe('temperror');
    fail(new Error('late'));
    await new Promise(setImmediate); // an unhandled rejection would end the process by now
  });
});

describe('The CPU time grows no faster than the text', () => {
  /** Texts that a careless parser would go through again and again. */
  const hostile: [what: string, record: (length: number) => string][] = [
    ['one word', (length) => 'a'.repeat(length)],
    ['spaces', (length) => `${' '.repeat(length)}+all`],
    ['slashes', (length) => `a:${'/'.repeat(length)}`],
    ['slashes and digits', (length) => `a${'/1'.repeat(length / 2)}x`],
    ['double slashes and digits', (length) => `a${'//1'.repeat(length / 3)}x`],
    ['one number of bits', (length) => `a//${'1'.repeat(length)}x`],
    ['bits that are too many', (length) => `a/${'1'.repeat(length)}`],
    ['dots', (length) => `a:${'.'.repeat(length)}a`],
    ['labels', (length) => `+all a:${'a.'.repeat(length / 2)}test`],
    ['a label of hyphens', (length) => `a:a.a${'-'.repeat(length)}`],
    ['digits at the end of a name', (length) => `a:a.${'1'.repeat(length)}`],
    ['percent signs', (length) => `exists:${'%%'.repeat(length / 2)}.test`],
    ['a percent sign alone', (length) => `exists:${'%%'.repeat(length / 2)}%`],
    ['macros', (length) => `exists:${'%{s}'.repeat(length / 4)}.test`],
    ['macros that divide', (length) => `exists:${'%{s128r.-+,/_=}'.repeat(length / 16)}.test`],
    ['macros that come to nothing', (length) => `exists:${'%{h1}'.repeat(length / 5)}`],
    ['open macros', (length) => `exists:${'%{d'.repeat(length / 3)}`],
    ['a macro of digits', (length) => `exists:%{d${'1'.repeat(length)}`],
    ['a macro of delimiters', (length) => `exists:%{d${'.-'.repeat(length / 2)}}.test`],
    ['an IPv6 address', (length) => `ip6:${'1:'.repeat(length / 2)}`],
    ['an IPv6 address of colons', (length) => `ip6:${':'.repeat(length)}`],
    ['an IPv4 address', (length) => `ip4:${'1.'.repeat(length / 2)}`],
    ["a modifier's name", (length) => 'a-'.repeat(length / 2)],
    ['modifiers', (length) => 'a=b '.repeat(length / 4)],
    ['mechanisms', (length) => 'ip4:1.1.1.1 '.repeat(length / 12)],
  ];
  const LONG = 2 ** 19;
  // 32 times the size takes 32 times the CPU time, and up to five times that with caches and garbage collection; in quadratic time
  // it would take 1,024 times as much.
  const ALLOWANCE = 160;
  const sender = `${'a.b-c+'.repeat(150)}@example.com`;

  const resolverOf = (record: string): SpfResolver => ({
    resolve4: async () => [],
    resolve6: async () => [],
    resolveMx: async () => [],
    resolveTxt: async (name) => (name === 'e.test' ? [[record]] : [[`v=spf1 ${record}`]]),
    reverse: async () => [],
  });

  async function milliseconds(record: string, options: SpfOptions): Promise<number> {
    const resolver = resolverOf(record);
    const trials: number[] = [];
    for (let trial = 0; trial < 3; trial++) {
      const query = { ...CLIENT, helo: '', sender };
      trials.push(await cpuTime(() => checkSpf(query, { resolver, maxRecordLength: 2 ** 30, ...options })));
    }
    return Math.min(...trials);
  }

  for (const [what, record] of hostile) {
    it(`in a record of ${what}`, async () => {
      const short = await milliseconds(record(LONG / 32), {});
      const long = await milliseconds(record(LONG), {});
      expectThat(long, `${short.toFixed(1)} ms, then ${long.toFixed(1)} ms`).toBeLessThan(
        Math.max(short, 2) * ALLOWANCE,
      );
    });
  }

  for (const [what, text] of [
    ['macros', (length: number) => '%{s}'.repeat(length / 4)],
    ['macros that come to nothing', (length: number) => '%{h}'.repeat(length / 4)],
    ['spaces', (length: number) => `${' '.repeat(length)}`],
    ['a broken end', (length: number) => `${'x'.repeat(length)}%`],
  ] as const) {
    it(`in an explanation of ${what}`, async () => {
      const explained = async (length: number) => {
        const resolver = {
          ...resolverOf(''),
          resolveTxt: async (name: string) => [[name === 'e.test' ? text(length) : 'v=spf1 -all exp=e.test']],
        };
        return milliseconds('', { resolver, maxExplanation: 2 ** 30 });
      };
      const short = await explained(2 ** 15);
      const long = await explained(2 ** 20);
      expectThat(long, `${short.toFixed(1)} ms, then ${long.toFixed(1)} ms`).toBeLessThan(
        Math.max(short, 2) * ALLOWANCE,
      );
    });
  }

  it('does not expand values without end that come to nothing', async () => {
    const resultOf = async (macros: number) => {
      const record = `exists:${'%{l1}'.repeat(macros)}x.test -all`;
      const resolver = { ...resolverOf(record), resolve4: async () => ['127.0.0.2'] };
      const dots = { ...CLIENT, sender: `${'.'.repeat(1000)}@example.com` };
      return (await checkSpf(dots, { resolver })).result;
    };
    expect(await resultOf(50)).toBe('pass');
    expect(await resultOf(100)).toBe('fail');
  });

  it('does not expand macros beyond the longest possible name', async () => {
    // Made to their ends, they would be longer than any string.
    const resolver = resolverOf(`exists:${'%{s}'.repeat(2000)}.x.test`);
    const long = { ...CLIENT, sender: `${'a.b-c+'.repeat(100_000)}@example.com` };
    expect((await checkSpf(long, { resolver, maxMacroValue: 2 ** 20 })).result).toBe('neutral');
  });
});
