/** tsmilter/spf against a DNS server on loopback: whom check_host() of RFC 7208 asks, and what it makes of the record. */
import { describe, expect, it } from '@jest/globals';
import { DnsError, DnsSession, type DnsSessionOptions } from 'tsmilter/dns';
import { checkSpf, type SpfOptions, type SpfQuery, type SpfResolver } from 'tsmilter/spf';
import { errorWith, expectThat } from '../support/expect';
import { CLIENT, SpfBench, txt } from '../support/spf';

const bench = new SpfBench();
const rows = bench.rows.bind(bench);

const spf = (record: string) => ({ TXT: txt(record) });
const label = (length: number) => 'x'.repeat(length);

describe('which domain is checked (RFC 7208 2.3, 2.4, 4.3)', () => {
  const helo = spf('v=spf1 ip4:192.0.2.1 -all');
  const zone = { 'mail.example.com': helo };
  const none = { asks: [] };
  rows([
    ["the sender's", 'v=spf1 +all', 'pass', { is: { domain: 'example.com', identity: 'mailfrom' } }],
    ['the sender in angle brackets', 'v=spf1 +all', 'pass', { sender: '<ann@example.com>' }],
    ['the sender in capital letters', 'v=spf1 +all', 'pass', { sender: 'ann@EXAMPLE.Com' }],
    [
      'a dot at the end',
      'v=spf1 +all',
      'pass',
      { sender: 'ann@example.com.', is: { domain: 'example.com' } },
    ],
    ['a route of old', 'v=spf1 +all', 'pass', { sender: '<@a.example,@b.example:ann@example.com>' }],
    ['a quoted local part with an @', 'v=spf1 +all', 'pass', { sender: '"a@b"@example.com' }],
    [
      'the null sender is the postmaster of the HELO name',
      'v=spf1 -all',
      'pass',
      { sender: '<>', zone, is: { domain: 'mail.example.com', identity: 'mailfrom' } },
    ],
    ['the null sender without brackets', 'v=spf1 -all', 'pass', { sender: '', zone }],
    [
      'the HELO name where it is asked for',
      'v=spf1 -all',
      'pass',
      { zone, options: { identity: 'helo' }, is: { domain: 'mail.example.com', identity: 'helo' } },
    ],
    [
      'no local part',
      'v=spf1 exists:%{l}.l.test -all',
      'pass',
      {
        sender: '@example.com',
        zone: { 'postmaster.l.test': { A: ['127.0.0.2'] } },
      },
    ],
    ['no domain', 'v=spf1 +all', 'none', { sender: 'ann', ...none, is: { domain: '' } }],
    ['no domain after the @', 'v=spf1 +all', 'none', { sender: 'ann@', ...none }],
    ['one label', 'v=spf1 +all', 'none', { sender: 'ann@localhost', ...none }],
    ['an empty label', 'v=spf1 +all', 'none', { sender: 'ann@a..example.com', ...none }],
    ['an empty label at its beginning', 'v=spf1 +all', 'none', { sender: 'ann@.example.com', ...none }],
    ['two dots at the end', 'v=spf1 +all', 'none', { sender: 'ann@example.com..', ...none }],
    ['a label of 64 characters', 'v=spf1 +all', 'none', { sender: `ann@${label(64)}.example.com`, ...none }],
    [
      'a label of 63 characters',
      'v=spf1 -all',
      'pass',
      {
        sender: `ann@${label(63)}.example.com`,
        zone: { [`${label(63)}.example.com`]: spf('v=spf1 +all') },
      },
    ],
    [
      'more than 253 characters',
      'v=spf1 +all',
      'none',
      {
        sender: `ann@${'a.'.repeat(122)}example.com`,
        ...none,
      },
    ],
    ['a space', 'v=spf1 +all', 'none', { sender: 'ann@exam ple.com', ...none }],
    ['an address literal as HELO', 'v=spf1 +all', 'none', { helo: '[192.0.2.1]', sender: '', ...none }],
    ['a bare address as HELO', 'v=spf1 +all', 'none', { helo: '192.0.2.1', sender: '', ...none }],
    ['no HELO', 'v=spf1 +all', 'none', { helo: '', sender: '', ...none }],
    ['a line end in HELO', 'v=spf1 +all', 'none', { helo: 'a.example\r\nX: y', sender: '', ...none }],
    [
      'U-labels (RFC 8616)',
      'v=spf1 -all',
      'pass',
      {
        sender: 'ann@grün.example',
        zone: { 'xn--grn-ioa.example': spf('v=spf1 +all') },
        is: { domain: 'xn--grn-ioa.example' },
      },
    ],
    ['bytes that are not UTF-8', 'v=spf1 +all', 'none', { sender: 'ann@gr\udcfcn.\udcff', ...none }],
  ]);
});

describe('the client', () => {
  rows([
    ['IPv4-mapped', 'v=spf1 ip4:192.0.2.1 -all', 'pass', { ip: '::ffff:192.0.2.1' }],
    ['IPv4-mapped, in hexadecimal digits', 'v=spf1 ip4:192.0.2.1 -all', 'pass', { ip: '::FFFF:C000:201' }],
    ['IPv6', 'v=spf1 ip6:2001:db8::1 -all', 'pass', { ip: '2001:DB8:0:0::1' }],
    [
      'IPv6 that ends in the form of IPv4, and is not mapped',
      'v=spf1 ip4:192.0.2.1 -all',
      'fail',
      { ip: '::192.0.2.1' },
    ],
    ['the same in two forms', 'v=spf1 ip6:::192.0.2.1 -all', 'pass', { ip: '::c000:201' }],
    ['a link-local address with its zone', 'v=spf1 ip6:fe80::1 -all', 'pass', { ip: 'fe80::1%eth0' }],
  ]);

  it('any other invalid argument throws', async () => {
    const resolver = bench.resolver();
    const bad: [Partial<Record<keyof SpfQuery, unknown>>, Record<string, unknown>][] = [
      [{ ip: '192.0.2.256' }, {}],
      [{ ip: '192.0.2.1%eth0' }, {}],
      [{ ip: '' }, {}],
      [{ ip: 1 }, {}],
      [{ helo: undefined }, {}],
      [{ sender: null }, {}],
      [{}, { identity: 'pra' }],
      [{}, { receiver: '' }],
      [{}, { receiver: 'a\nb' }],
      [{}, { resolver: {} }],
      [{}, { resolver: null }],
      [{}, { maxLookups: -1 }],
      [{}, { maxVoidLookups: 1.5 }],
      [{}, { maxMx: '10' }],
      [{}, { maxPtr: Number.NaN }],
      [{}, { maxRecordLength: 0 }],
      [{}, { maxMacroValue: 0 }],
      [{}, { maxExplanation: 15 }],
      [{}, { maxTime: 0 }],
      [{}, { defaultExplanation: 'for 100% sure' }],
      [{}, { defaultExplanation: ' ' }],
      [{}, { defaultExplanation: 'grün' }],
    ];
    for (const [query, options] of bad) {
      const checked = checkSpf({ ...CLIENT, ...query } as SpfQuery, { resolver, ...options } as SpfOptions);
      await expectThat(checked, JSON.stringify([query, options])).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    }
    for (const args of [[null], ['x'], [CLIENT, null]]) {
      const [query, options] = args as unknown as [SpfQuery, SpfOptions];
      await expect(checkSpf(query, options)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    }
  });
});

describe('looking up the record (RFC 7208 3, 4.4, 4.5)', () => {
  const at = (...texts: (string | string[] | Buffer)[]) => ({ zone: { 'example.com': { TXT: texts } } });
  rows([
    [
      'no such name',
      '',
      'none',
      { sender: 'ann@nowhere.test', asks: ['TXT nowhere.test'], is: { lookups: 0 } },
    ],
    ['no TXT record', '', 'none', { zone: { 'example.com': { A: ['192.0.2.1'] } } }],
    ['TXT records of other kinds', '', 'none', at('verification=1', 'v=DKIM1', 'spf2.0/pra +all', '')],
    ['one among others', '', 'pass', at('verification=1', 'v=spf1 +all', Buffer.from([0xff, 0x00]))],
    [
      'two',
      '',
      'permerror',
      { ...at('v=spf1 +all', 'v=spf1 -all'), is: { problem: /more than one SPF record/ } },
    ],
    ['the same twice', '', 'permerror', at('v=spf1 +all', 'V=SPF1 +all')],
    ['two, one of them empty', '', 'permerror', at('v=spf1', 'v=spf1 -all')],
    ['several strings, joined without a space', '', 'pass', at(['v=spf1 ip4:192.', '0.2.1 ', '-all'])],
    ['a string that ends the version', '', 'none', at(['v=spf1', '+all'])],
    ['another version', '', 'none', at('v=spf10 +all')],
    ['a hyphen after the version', '', 'none', at('v=spf1-all')],
    ['a tab after the version', '', 'none', at('v=spf1\t+all')],
    ['a space before the version', '', 'none', at(' v=spf1 +all')],
    ['the version alone', '', 'neutral', at('v=spf1')],
    ['the version and a space', '', 'neutral', at('v=spf1 ')],
    ['any letter case', '', 'pass', at('V=sPf1 +ALL')],
    ['several spaces', '', 'pass', at('v=spf1   ip4:192.0.2.1   -all   ')],
    [
      'an alias of the domain',
      '',
      'pass',
      {
        zone: { 'example.com': { CNAME: 'other.test' }, 'other.test': spf('v=spf1 +all') },
      },
    ],
    [
      'a record of many answers, by TCP',
      '',
      'pass',
      {
        zone: {
          'example.com': {
            TXT: [...Array.from({ length: 30 }, (_, n) => `${n}`.padEnd(200, 'x')), 'v=spf1 +all'],
          },
        },
      },
    ],
    [
      'SERVFAIL',
      '',
      'temperror',
      {
        zone: { 'example.com': { fault: 'SERVFAIL' } },
        is: { problem: /TXT for example\.com failed \(ESERVFAIL\)/, mechanism: null },
      },
    ],
    ['REFUSED', '', 'temperror', { zone: { 'example.com': { fault: 'REFUSED' } } }],
    ['no answer', '', 'temperror', { zone: { 'example.com': { fault: 'silence' } } }],
    ['aliases in a loop', '', 'temperror', { zone: { 'example.com': { CNAME: 'example.com' } } }],
  ]);
});

describe('the resolver', () => {
  const nothing: SpfResolver = {
    resolve4: async () => [],
    resolve6: async () => [],
    resolveMx: async () => [],
    resolveTxt: async () => [['v=spf1 a:host.test ', '-all']],
    reverse: async () => [],
  };
  const failing = (error: unknown): SpfResolver => ({ ...nothing, resolve4: () => Promise.reject(error) });

  it('may be any object with the methods of node:dns, whose empty list counts as no record', async () => {
    expect((await checkSpf(CLIENT, { resolver: nothing })).result).toBe('fail');
    const own = { ...nothing, resolve4: async () => ['192.0.2.1'] };
    expect((await checkSpf(CLIENT, { resolver: own })).result).toBe('pass');
  });

  for (const code of ['ESERVFAIL', 'ECONNREFUSED', 'EBADRESP', 'ERR_MILTER_DNS_LIMIT']) {
    it(`whose errors have a code: ${code} is a temperror`, async () => {
      const resolver = failing(Object.assign(new Error('DNS'), { code }));
      const { result, problem } = await checkSpf(CLIENT, { resolver });
      expect([result, problem]).toStrictEqual([
        'temperror',
        `DNS lookup of A for host.test failed (${code})`,
      ]);
    });
  }

  it('errors of look-ups are results, programming errors are not', async () => {
    const answer = new DnsError('ENOTFOUND', 'A', 'host.test', 'none');
    expect((await checkSpf(CLIENT, { resolver: failing(answer) })).result).toBe('fail');
    const unasked = Object.assign(new Error('DNS'), { code: 'EBADNAME' });
    expect((await checkSpf(CLIENT, { resolver: failing(unasked) })).result).toBe('fail');
    const mistake = () => Promise.reject(new TypeError('a mistake'));
    const says = (record: string, method: Partial<SpfResolver>): SpfResolver => ({
      ...nothing,
      resolveTxt: (name) => (name === 'example.com' ? Promise.resolve([[record]]) : mistake()),
      ...method,
    });
    for (const resolver of [
      failing(new TypeError('a mistake')),
      says('v=spf1 include:a.test', {}),
      says('v=spf1 -all exp=a.test', {}),
      says('v=spf1 ptr -all', { reverse: mistake }),
      says('v=spf1 ptr:a.test -all', { reverse: async () => ['a.test'], resolve4: mistake }),
    ]) {
      await expect(checkSpf(CLIENT, { resolver })).rejects.toThrow(TypeError);
    }
  });

  it('is a new session if none is given', async () => {
    const none = await checkSpf({ ...CLIENT, sender: 'ann@localhost' });
    expect(none.result).toBe('none');
  });

  describe('has limits of its own if it is shared', () => {
    const checkWith = async (options: DnsSessionOptions) => {
      bench.server.zone = {
        'example.com': spf('v=spf1 a:host.test -all'),
        'host.test': { fault: 'silence' },
      };
      const resolver = new DnsSession({ servers: [bench.server.address], ...options });
      return (await checkSpf(CLIENT, { resolver })).result;
    };

    it('too many questions are a permerror: another try would end like this one (RFC 7208 2.6.7, 4.6.4)', async () => {
      expect(await checkWith({ maxLookups: 1 })).toBe('permerror');
    });

    it('too much time is a temperror (RFC 7208 4.6.4)', async () => {
      expect(await checkWith({ maxTime: 100 })).toBe('temperror');
    });
  });
});
