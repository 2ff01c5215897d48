/** tsmilter/spf: macros (RFC 7208 7), by the names that are asked of DNS, and explanations (6.2). */
import { describe, expect, it } from '@jest/globals';
import type { Zone } from '../../tools/dns-server';
import { type Case, SpfBench, txt } from '../support/spf';

const bench = new SpfBench();
const rows = bench.rows.bind(bench);

const spf = (record: string) => ({ TXT: txt(record) });

describe('macros', () => {
  const query: Case = {
    ip: '192.0.2.3',
    helo: 'Mail-1.Example.ORG',
    sender: '<ann-b+tag.c@lists.example.com>',
  };
  const six: Case = { ...query, ip: '2001:db8::cb01' };
  const digits = '2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1';
  const backwards = digits.split('.').reverse().join('.');

  /** What is asked for where a record of lists.example.com has `exists:` with this. */
  async function asked(spec: string, rest: Case = query, zone: Zone = {}): Promise<string> {
    const record = spf(`v=spf1 exists:${spec} -all`);
    await bench.check('', { ...rest, zone: { 'lists.example.com': record, 'example.com': record, ...zone } });
    return bench.server.queries.at(-1) ?? '';
  }

  const expansions: [spec: string, name: string, rest?: Case][] = [
    ['%{s}', 'ann-b+tag.c@lists.example.com'],
    ['%{l}.x.test', 'ann-b+tag.c.x.test'],
    ['%{o}.x.test', 'lists.example.com.x.test'],
    ['%{d}.x.test', 'lists.example.com.x.test'],
    ['%{i}.x.test', '192.0.2.3.x.test'],
    ['%{i}.x.test', `${digits}.x.test`, six],
    ['%{h}.x.test', 'Mail-1.Example.ORG.x.test'],
    ['%{v}.x.test', 'in-addr.x.test'],
    ['%{v}.x.test', 'ip6.x.test', six],
    // how many parts, and in which order
    ['%{d1}.x.test', 'com.x.test'],
    ['%{d2}.x.test', 'example.com.x.test'],
    ['%{d3}.x.test', 'lists.example.com.x.test'],
    ['%{d4}.x.test', 'lists.example.com.x.test'],
    ['%{d128}.x.test', 'lists.example.com.x.test'],
    ['%{d99999999999999999999}.x.test', 'lists.example.com.x.test'],
    ['%{d01}.x.test', 'com.x.test'],
    ['%{dr}.x.test', 'com.example.lists.x.test'],
    ['%{d2r}.x.test', 'example.lists.x.test'],
    ['%{d1R}.x.test', 'lists.x.test'],
    ['%{ir}.%{v}.x.test', '3.2.0.192.in-addr.x.test'],
    ['%{ir}.%{v}.x.test', `${backwards}.ip6.x.test`, six],
    ['%{i8r}.x.test', `${backwards.slice(-15)}.x.test`, six],
    // what separates the parts
    ['%{l-}.x.test', 'ann.b+tag.c.x.test'],
    ['%{lr-}.x.test', 'b+tag.c.ann.x.test'],
    ['%{l1r-}.x.test', 'ann.x.test'],
    ['%{l+}.x.test', 'ann-b.tag.c.x.test'],
    ['%{l+-.}.x.test', 'ann.b.tag.c.x.test'],
    ['%{lr+-.}.x.test', 'c.tag.b.ann.x.test'],
    ['%{l--}.x.test', 'ann.b+tag.c.x.test'],
    ['%{l,/_=}.x.test', 'ann-b+tag.c.x.test'],
    ['%{l,/_=}.x.test', 'a.b.c.d.e.x.test', { ...query, sender: 'a,b/c_d=e@example.com' }],
    ['%{s.-}.x.test', 'ann.b+tag.c@lists.example.com.x.test'],
    ['%{l-}.x.test', 'a.b.x.test', { ...query, sender: 'a-b@example.com' }],
    // escaped as in a URL
    ['%{S}.x.test', 'ann-b%2Btag.c%40lists.example.com.x.test'],
    ['%{L-}.x.test', 'ann.b%2Btag.c.x.test'],
    [
      '%{L}.x.test',
      '%21%23%24%25%26%27%2A-%2F%3D%3F%5E_%60%7B%7C%7D~.x.test',
      {
        ...query,
        sender: "!#$%&'*-/=?^_`{|}~@example.com",
      },
    ],
    ['%{H}.x.test', '%5B192.0.2.3%5D.x.test', { ...query, helo: '[192.0.2.3]' }],
    ['%{H}.x.test', 'a%20%22b%22%5C.x.test', { ...query, helo: 'a "b"\\' }],
    ['%{D}.%{I}.%{V}.%{O}.x.test', 'lists.example.com.192.0.2.3.in-addr.lists.example.com.x.test'],
    // escapes, and what is no macro
    ['a%%b.x.test', 'a%b.x.test'],
    ['a%-b.x.test', 'a%20b.x.test'],
    ['a%_b.x.test', 'a b.x.test'],
    ['%_%_.x.test', '  .x.test'],
    ['%{l}.x.test', 'a b.x.test', { ...query, sender: 'a b@example.com' }],
    // the result is not subject to any further escaping (RFC 7208 4.8)
    ['a\\.x.test', 'a\\.x.test'],
    ['%{l}.x.test', '"a\\"b".x.test', { ...query, sender: '"a\\"b"@example.com' }],
    ['{d}$.x.test', '{d}$.x.test'],
    // ends of names
    ['x.test.', 'x.test'],
    ['x.%{d}', 'x.lists.example.com'],
    ['x.%{h}', 'x.Mail-1.Example.ORG', { ...query, helo: 'Mail-1.Example.ORG.' }],
    ['x.%{h}', 'x.localhost', { ...query, helo: 'localhost' }],
  ];
  for (const [spec, name, rest] of expansions) {
    it(`${spec} is ${name}`, async () => {
      expect(await asked(spec, rest)).toBe(`A ${name}`);
    });
  }

  it('stand for the domain of the record they are in', async () => {
    const zone = {
      'example.com': spf('v=spf1 include:one.test redirect=two.test'),
      'one.test': spf('v=spf1 exists:%{d}.%{o}.i.test'),
      'two.test': spf('v=spf1 exists:%{d}.%{o}.r.test include:%{d1r}.three.test'),
      'two.three.test': spf('v=spf1 exists:%{d}.x.test'),
    };
    await bench.check('', { zone, options: { maxVoidLookups: 5 } });
    expect(bench.server.queries).toStrictEqual([
      'TXT example.com',
      'TXT one.test',
      'A one.test.example.com.i.test',
      'TXT two.test',
      'A two.test.example.com.r.test',
      'TXT two.three.test',
      'A two.three.test.x.test',
    ]);
  });

  it('of the null sender, and of a check of the HELO name, are those of its postmaster', async () => {
    const zone = { 'mail.example.com': spf('v=spf1 exists:%{s}.%{l}.%{o}.%{d}.x.test') };
    const name = 'A postmaster@mail.example.com.postmaster.mail.example.com.mail.example.com.x.test';
    for (const rest of [{ sender: '<>' }, { options: { identity: 'helo' } }] as const) {
      await bench.check('', { zone, ...rest });
      expect(bench.server.queries.at(-1)).toBe(name);
    }
  });

  describe('names of more than 253 characters lose labels at their left end', () => {
    const fill = (labels: number) =>
      Array.from({ length: labels }, (_, at) => `${at}`.padStart(9, 'x')).join('.');
    const cases: [what: string, spec: string, sender: string, name: string][] = [
      [
        '253',
        `%{l}.${'y'.repeat(6)}.test`,
        fill(24).slice(0, 241),
        `${fill(24).slice(0, 241)}.${'y'.repeat(6)}.test`,
      ],
      [
        'one too many',
        `%{l}.${'y'.repeat(7)}.test`,
        `a.${fill(24).slice(0, 239)}`,
        `${fill(24).slice(0, 239)}.${'y'.repeat(7)}.test`,
      ],
      ['many too many', '%{l}.%{l}.y.test', fill(24), `${fill(24).slice(-239)}.y.test`],
    ];
    for (const [what, spec, local, name] of cases) {
      it(what, async () => {
        expect(name.length).toBeLessThanOrEqual(253);
        expect(await asked(spec, { ...query, sender: `${local}@example.com` })).toBe(`A ${name}`);
      });
    }

    it('also applies to the text of a record', async () => {
      expect(await asked(`a.b.${fill(24)}.yyyyyyyy.test`)).toBe(`A ${fill(24)}.yyyyyyyy.test`);
    });

    it('a name with a label that is too long is invalid', async () => {
      expect(await asked('%{L}', { ...query, sender: `${'+'.repeat(100)}@example.com` })).toBe(
        'TXT example.com',
      );
    });
  });

  describe('p, the validated name', () => {
    const reverse = '3.2.0.192.in-addr.arpa';
    const there = { A: ['192.0.2.3'] };
    const names: [what: string, name: string, zone: Zone][] = [
      [
        'the domain itself before others',
        'lists.example.com',
        {
          [reverse]: { PTR: ['a.test', 'b.lists.example.com', 'Lists.Example.com'.toLowerCase()] },
          'a.test': there,
          'b.lists.example.com': there,
          'lists.example.com': { ...spf('v=spf1 exists:%{p}.x.test -all'), ...there },
        },
      ],
      [
        'a name below the domain before others',
        'b.lists.example.com',
        {
          [reverse]: { PTR: ['a.test', 'b.lists.example.com'] },
          'a.test': there,
          'b.lists.example.com': there,
        },
      ],
      ['any name', 'a.test', { [reverse]: { PTR: ['z.test', 'a.test'] }, 'a.test': there }],
      [
        'names that do not lead back',
        'unknown',
        { [reverse]: { PTR: ['a.test'] }, 'a.test': { A: ['192.0.2.9'] } },
      ],
      ['none', 'unknown', {}],
      ['SERVFAIL', 'unknown', { [reverse]: { fault: 'SERVFAIL' } }],
      [
        'SERVFAIL of the name',
        'unknown',
        { [reverse]: { PTR: ['a.test'] }, 'a.test': { fault: 'SERVFAIL' } },
      ],
    ];
    for (const [what, name, zone] of names) {
      it(`${what}: ${name}`, async () => {
        expect(await asked('%{p}.x.test', query, zone)).toBe(`A ${name}.x.test`);
      });
    }

    it('is not looked up if it is not used', async () => {
      await asked('%{d}.x.test');
      expect(bench.server.queries.every((question) => !question.startsWith('PTR'))).toBe(true);
    });
  });

  describe('local parts that are not ASCII match nothing (RFC 8616 4)', () => {
    const sender = 'jürgen@example.com';
    const zone = { 'x.test': spf('v=spf1 +all') };
    rows([
      ['exists', 'v=spf1 exists:%{l}.x.test ~all', 'softfail', { sender, asks: ['TXT example.com'] }],
      [
        'in capital letters',
        'v=spf1 exists:%{L}.x.test ~all',
        'softfail',
        { sender, asks: ['TXT example.com'] },
      ],
      ['include', 'v=spf1 include:%{s}.x.test ~all', 'softfail', { sender, asks: ['TXT example.com'] }],
      ['redirect', 'v=spf1 redirect=%{l}.x.test', 'neutral', { sender }],
      ['others do', 'v=spf1 include:x.test -all', 'pass', { sender, zone }],
      ['lone surrogates', 'v=spf1 exists:%{S}.x.test ~all', 'softfail', { sender: '\udcff@example.com' }],
    ]);
  });
});

describe('explanations (RFC 7208 6.2)', () => {
  const says = (text: string | Buffer | string[], more: Zone = {}): Case => ({
    zone: { 'exp.test': { TXT: [text] }, ...more },
  });
  const is = (explanation: string | RegExp, explainedBy: string | null = 'example.com') => ({
    is: { explanation, explainedBy },
  });
  const ours = is('192.0.2.1 may not send mail in the name of ann@example.com', null);
  const record = 'v=spf1 -all exp=exp.test';
  rows([
    ['the text', record, 'fail', { ...says('Go away.'), ...is('Go away.') }],
    ['several strings', record, 'fail', { ...says(['Go', ' ', 'away.']), ...is('Go away.') }],
    [
      'macros',
      record,
      'fail',
      {
        ...says('%{i} is not one of %{d}%%s%_hosts%-: http://%{d}/why?s=%{S}&i=%{I}'),
        ...is(
          '192.0.2.1 is not one of example.com%s hosts%20: http://example.com/why?s=ann%40example.com&i=192.0.2.1',
        ),
      },
    ],
    [
      'macros for explanations only',
      record,
      'fail',
      { ...says('%{c} %{r} %{t}'), ...is(/^192\.0\.2\.1 mx\.example\.net \d{10}$/) },
    ],
    [
      'macro c of IPv6',
      record,
      'fail',
      { ...says('%{c} %{i1}'), ip: '2001:DB8:0::1', ...is('2001:db8::1 1') },
    ],
    [
      'macro i of IPv6, in upper case, also where it is escaped',
      record,
      'fail',
      {
        ...says('%{i2} %{c} is %{i}.%{v}, %{ir}, %{I1}'),
        ip: '2001:DB8::CAFE',
        ...is(
          'F.E 2001:db8::cafe is 2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.A.F.E.ip6, ' +
            'E.F.A.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2, E',
        ),
      },
    ],
    [
      'macros in upper case, escaped as in a URL by upper-case digits (RFC 7208 7.3, RFC 3986 2.1)',
      record,
      'fail',
      {
        ...says('http://example.com/why?l=%{L}&s=%{S}'),
        sender: 'jack&jill=up*@example.com',
        ...is('http://example.com/why?l=jack%26jill%3Dup%2A&s=jack%26jill%3Dup%2A%40example.com'),
      },
    ],
    [
      'macro p',
      record,
      'fail',
      {
        ...says('%{p}', { '1.2.0.192.in-addr.arpa': { PTR: ['a.test'] }, 'a.test': { A: ['192.0.2.1'] } }),
        ...is('a.test'),
      },
    ],
    [
      'a name with macros',
      'v=spf1 -all exp=%{i}.%{d1}.test',
      'fail',
      {
        zone: { '192.0.2.1.com.test': { TXT: ['Go away.'] } },
        ...is('Go away.'),
      },
    ],
    ['before the mechanisms', 'v=spf1 exp=exp.test -all', 'fail', { ...says('Go away.'), ...is('Go away.') }],
    [
      'is not a term that needs DNS',
      `v=spf1 -all exp=exp.test`,
      'fail',
      { ...says('x'), is: { lookups: 0 } },
    ],
    [
      'of the domain that the redirect leads to',
      'v=spf1 redirect=other.test exp=exp.test',
      'fail',
      {
        ...says('No.', {
          'other.test': spf('v=spf1 -all exp=its.test'),
          'its.test': { TXT: ['It is %{d} of %{o}.'] },
        }),
        ...is('It is other.test of example.com.', 'other.test'),
      },
    ],
    [
      'not that of the domain with the redirect',
      'v=spf1 redirect=other.test exp=exp.test',
      'fail',
      {
        ...says('No.', { 'other.test': spf('v=spf1 -all') }),
        ...ours,
      },
    ],
    [
      'not that of a domain that is included',
      'v=spf1 include:other.test -all exp=exp.test',
      'fail',
      {
        ...says('Go away.', { 'other.test': spf('v=spf1 -all exp=its.test'), 'its.test': { TXT: ['No.'] } }),
        ...is('Go away.'),
      },
    ],
    [
      'not that of a domain whose pass is a fail',
      'v=spf1 -include:other.test',
      'fail',
      {
        zone: { 'other.test': spf('v=spf1 +all exp=its.test'), 'its.test': { TXT: ['No.'] } },
        ...ours,
      },
    ],
    [
      'only where it fails',
      'v=spf1 ~all exp=exp.test',
      'softfail',
      { ...says('No.'), is: { explainedBy: null }, asks: ['TXT example.com'] },
    ],
    ['no such name', record, 'fail', ours],
    ['no TXT record', record, 'fail', { zone: { 'exp.test': { A: ['192.0.2.1'] } }, ...ours }],
    ['several records', record, 'fail', { zone: { 'exp.test': { TXT: ['one', 'two'] } }, ...ours }],
    ['SERVFAIL', record, 'fail', { zone: { 'exp.test': { fault: 'SERVFAIL' } }, ...ours }],
    ['no answer', record, 'fail', { zone: { 'exp.test': { fault: 'silence' } }, ...ours }],
    ['an empty text', record, 'fail', { ...says(''), ...ours }],
    ['nothing but spaces', record, 'fail', { ...says('  '), ...ours }],
    ['a broken macro', record, 'fail', { ...says('100% sure'), ...ours }],
    ['a text that is not ASCII', record, 'fail', { ...says(Buffer.from('grün')), ...ours }],
    ['a line end', record, 'fail', { ...says('a\r\nb'), ...ours }],
    [
      'a macro that is not ASCII',
      record,
      'fail',
      {
        ...says('%{l}'),
        sender: 'jürgen@example.com',
        ...is('192.0.2.1 may not send mail in the name of j?rgen@example.com', null),
      },
    ],
    ['a name that DNS cannot have', 'v=spf1 -all exp=%{h}.test', 'fail', { helo: 'a..b', ...ours }],
    [
      'a name that is not ASCII',
      'v=spf1 -all exp=%{l}.test',
      'fail',
      { sender: 'jürgen@example.com', is: { explainedBy: null } },
    ],
  ]);

  describe('defaultExplanation, if the domain has none', () => {
    const options = { defaultExplanation: 'See http://mx.example.net/%{d}?%{S} 100%%' };
    const yours = is('See http://mx.example.net/example.com?ann%40example.com 100%', null);
    rows([
      ['none of its own', 'v=spf1 -all', 'fail', { options, ...yours }],
      ['one of its own', record, 'fail', { ...says('Go away.'), options, ...is('Go away.') }],
      ['its own cannot be had', record, 'fail', { options, ...yours }],
      [
        'the domain is that of the sender',
        'v=spf1 redirect=other.test',
        'fail',
        {
          options,
          zone: { 'other.test': spf('v=spf1 -all') },
          ...yours,
        },
      ],
      ['only where it fails', 'v=spf1 ~all', 'softfail', { options, is: { explanation: /should not send/ } }],
    ]);
  });

  describe('otherwise a sentence explains the result', () => {
    rows([
      ['+', 'v=spf1 +all', 'pass', is('192.0.2.1 may send mail in the name of ann@example.com', null)],
      ['-', 'v=spf1 -all', 'fail', ours],
      [
        '~',
        'v=spf1 ~all',
        'softfail',
        is('192.0.2.1 should not send mail in the name of ann@example.com', null),
      ],
      [
        '?',
        'v=spf1 ?all',
        'neutral',
        is('example.com does not say whether 192.0.2.1 may send mail in the name of ann@example.com', null),
      ],
      ['no record', '', 'none', is('example.com does not say who may send mail in its name', null)],
      ['no domain', '', 'none', { sender: 'ann', ...is(/^there is no domain whose record/, null) }],
      [
        'a broken record',
        'v=spf1 moo',
        'permerror',
        is(
          'cannot determine whether 192.0.2.1 may send mail in the name of ann@example.com: unknown mechanism: moo',
          null,
        ),
      ],
      [
        'DNS fails',
        '',
        'temperror',
        {
          zone: { 'example.com': { fault: 'SERVFAIL' } },
          ...is(
            /^cannot currently determine whether 192\.0\.2\.1 .*: DNS lookup of TXT for example\.com failed/,
            null,
          ),
        },
      ],
      [
        'HELO',
        '',
        'fail',
        {
          zone: { 'mail.example.com': spf('v=spf1 -all') },
          options: { identity: 'helo' },
          ...is('192.0.2.1 may not send mail in the name of mail.example.com', null),
        },
      ],
    ]);
  });
});
