/** checkDmarc: the rules of RFC 9989 by section, and of RFC 7489 for what older records say. */
import { describe, expect, it } from '@jest/globals';
import { formatAuthRes } from 'tsmilter/authres';
import type { DkimResult } from 'tsmilter/dkim';
import {
  type CheckDmarcOptions,
  checkDmarc,
  type DmarcMessage,
  type DmarcResult,
  type DmarcSpf,
  dmarcAuthRes,
} from 'tsmilter/dmarc';
import { addSet, verifyArc } from '../support/arc.js';
import { dnsError, MAIL, ZONE, type Zone, zoneResolver } from '../support/dkim.js';

const EXISTS = dnsError('ENODATA');

/** `{ 'example.com': 'v=DMARC1; …' }` as a zone. */
function policies(
  records: Record<string, string | string[] | Error>,
  existing: readonly string[] = [],
): Zone {
  const entries = Object.entries(records).map(([domain, found]) => [
    `_dmarc.${domain}`,
    found instanceof Error ? found : [found].flat().map((text) => [text]),
  ]);
  return Object.fromEntries([...entries, ...existing.map((name) => [name, EXISTS])]);
}

const spf = (domain: string, result: DmarcSpf['result'] = 'pass'): DmarcSpf => ({ result, domain });
const dkim = (domain: string, result: DkimResult['result'] = 'pass'): DkimResult[] => [{ result, domain }];

async function check(
  zone: Zone,
  message: Partial<DmarcMessage> = {},
  options: Partial<CheckDmarcOptions> = {},
): Promise<DmarcResult> {
  return checkDmarc({ from: 'a@example.com', ...message }, { resolver: zoneResolver(zone), ...options });
}

const REJECT = policies({ 'example.com': 'v=DMARC1; p=reject' });

describe('policy discovery (4.10.1)', () => {
  it('takes the record of the author domain', async () => {
    expect(await check(REJECT)).toEqual({
      result: 'fail',
      reason: 'neither SPF nor DKIM has authenticated an aligned domain',
      domain: 'example.com',
      policyDomain: 'example.com',
      record: expect.objectContaining({
        p: 'reject',
        adkim: 'r',
        aspf: 'r',
        testing: false,
        psd: 'u',
        fo: '0',
      }),
      publishedPolicy: 'reject',
      policy: 'reject',
      disposition: 'reject',
      overrides: [],
      spfAligned: false,
      dkimAligned: false,
    });
  });

  it('is none without a record', async () => {
    expect(await check({})).toMatchObject({
      result: 'none',
      policy: 'none',
      disposition: 'none',
      domain: 'example.com',
    });
  });

  const from = (domain: string) => ({ from: `a@${domain}` });

  it.each<[string, string, Record<string, string>, Partial<DmarcResult>]>([
    [
      'the organizational domain of a subdomain, with sp=',
      'mail.example.com',
      { 'example.com': 'v=DMARC1; p=reject; sp=quarantine' },
      { policyDomain: 'example.com', policy: 'quarantine' },
    ],
    [
      'p= for a subdomain without sp=',
      'mail.example.com',
      { 'example.com': 'v=DMARC1; p=reject' },
      { policyDomain: 'example.com', policy: 'reject' },
    ],
    [
      'p= of the domain itself, not its sp=',
      'example.com',
      { 'example.com': 'v=DMARC1; p=quarantine; sp=reject; np=none' },
      { policy: 'quarantine' },
    ],
    [
      'the shortest name with a record, not one between',
      'a.mail.example.com',
      { 'mail.example.com': 'v=DMARC1; p=none', 'example.com': 'v=DMARC1; p=reject; sp=quarantine' },
      { policyDomain: 'example.com', policy: 'quarantine' },
    ],
    [
      'a name between that says psd=n',
      'a.mail.example.com',
      { 'mail.example.com': 'v=DMARC1; p=quarantine; psd=n', 'example.com': 'v=DMARC1; p=reject' },
      { policyDomain: 'mail.example.com', policy: 'quarantine' },
    ],
    [
      'a public suffix for an organization without a record (psd=y)',
      'mail.example.bank',
      { bank: 'v=DMARC1; p=none; sp=reject; psd=y' },
      { policyDomain: 'bank', policy: 'reject' },
    ],
    [
      'the organizational domain below a public suffix',
      'mail.example.bank',
      { bank: 'v=DMARC1; p=reject; psd=y', 'example.bank': 'v=DMARC1; p=quarantine' },
      { policyDomain: 'example.bank', policy: 'quarantine' },
    ],
    [
      'the own record of a public suffix that sends mail',
      'bank',
      { bank: 'v=DMARC1; p=reject; psd=y' },
      { policyDomain: 'bank', policy: 'reject' },
    ],
  ])('takes %s', async (_title, domain, records, expected) => {
    expect(await check(policies(records, [domain]), from(domain))).toMatchObject({
      result: 'fail',
      ...expected,
    });
  });

  it('asks for the eight names of the RFC, in this order', async () => {
    const resolver = zoneResolver({});
    await checkDmarc({ from: 'x@a.b.c.d.e.f.g.h.i.j.mail.example.com' }, { resolver });
    expect(resolver.asked).toEqual([
      '_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com',
      '_dmarc.g.h.i.j.mail.example.com',
      '_dmarc.h.i.j.mail.example.com',
      '_dmarc.i.j.mail.example.com',
      '_dmarc.j.mail.example.com',
      '_dmarc.mail.example.com',
      '_dmarc.example.com',
      '_dmarc.com',
    ]);
  });

  it.each([
    ['two labels', 'example.com', 2],
    ['seven labels', 'a.b.c.d.e.example.com', 7],
    ['eight labels', 'a.b.c.d.e.f.example.com', 8],
    ['nine labels', 'a.b.c.d.e.f.g.example.com', 8],
  ])('asks at most eight questions: %s', async (_title, domain, count) => {
    const resolver = zoneResolver({});
    await checkDmarc({ from: `x@${domain}` }, { resolver });
    expect(resolver.asked.length).toBe(count);
  });

  it('takes several records of a name as none, whatever else is there', async () => {
    const twice = policies({ 'example.com': ['v=DMARC1; p=reject', 'v=DMARC1; p=none'] });
    expect(await check(twice)).toMatchObject({ result: 'none' });
    const others = policies({
      'example.com': ['google-site-verification=x', 'v=DMARC1; p=reject', 'v=spf1 -all'],
    });
    expect(await check(others)).toMatchObject({ result: 'fail', policy: 'reject' });
  });

  it('joins the strings of a record (4.5)', async () => {
    const zone: Zone = { '_dmarc.example.com': [['v=DMARC1; p=re', 'ject']] };
    expect(await check(zone)).toMatchObject({ policy: 'reject' });
  });

  it.each<[string, string]>([
    ['v=DMARC1', 'none'],
    ['v=DMARC1;', 'none'],
    ['v=DMARC1; p=', 'none'],
    ['v=DMARC1; p=block', 'none'],
    ['v=DMARC1; p=reject; sp=block', 'none'],
    ['v=DMARC1; p=reject; np=block', 'none'],
    ['v=DMARC1; rua=mailto:a@example.com', 'fail'],
    ['v=DMARC1; p=block; rua=mailto:a@example.com', 'fail'],
    ['v=DMARC1; p=reject; sp=block; rua=mailto:a@example.com', 'fail'],
    ['v=DMARC1; p=block; rua=nonsense', 'none'],
  ])(
    'a record without a valid policy counts if it asks for reports, as p=none: %s',
    async (record, result) => {
      const zone = policies({ 'example.com': record });
      expect(await check(zone)).toMatchObject({ result, policy: 'none', disposition: 'none' });
    },
  );

  it('a record of that kind says all the same where the public suffix is', async () => {
    const zone = policies({ uk: 'v=DMARC1; psd=y', 'co.uk': 'v=DMARC1; psd=y' });
    expect(await check(zone, { from: 'a@x.example.co.uk' })).toMatchObject({ result: 'none' });
  });
});

describe('non-existent subdomains (np=, 3.2.13 and 4.7)', () => {
  const np = 'v=DMARC1; p=none; sp=quarantine; np=reject';
  const from = 'a@gone.example.com';

  it('applies np= to a name that DNS does not know (NXDOMAIN)', async () => {
    expect(await check(policies({ 'example.com': np }), { from })).toMatchObject({ policy: 'reject' });
  });

  it('applies sp= to a name without such records (no data)', async () => {
    const zone = policies({ 'example.com': np }, ['gone.example.com']);
    expect(await check(zone, { from })).toMatchObject({ policy: 'quarantine' });
  });

  it('falls back to sp=, then to p=', async () => {
    const zone = (record: string) => policies({ 'example.com': record });
    expect(await check(zone('v=DMARC1; p=none; sp=reject'), { from })).toMatchObject({ policy: 'reject' });
    expect(await check(zone('v=DMARC1; p=quarantine'), { from })).toMatchObject({ policy: 'quarantine' });
  });

  it('is temperror if DNS cannot tell whether the name exists', async () => {
    const zone = { ...policies({ 'example.com': np }), 'gone.example.com': dnsError('ETIMEOUT') };
    expect(await check(zone, { from })).toMatchObject({ result: 'temperror', disposition: 'none' });
  });

  it('asks only if it makes a difference', async () => {
    const asked = async (record: string, message: Partial<DmarcMessage> = {}) => {
      const resolver = zoneResolver(policies({ 'example.com': record }));
      await checkDmarc({ from, ...message }, { resolver });
      return resolver.asked.includes('gone.example.com');
    };
    expect(await asked(np)).toBe(true);
    expect(await asked('v=DMARC1; p=reject; np=reject')).toBe(false);
    expect(await asked(np, { spf: spf('gone.example.com') })).toBe(false);
  });
});

describe('identifier alignment (4.4, 4.10.2)', () => {
  it.each<[string, string, string, boolean]>([
    ['the same domain', 'example.com', 'example.com', true],
    ['letter case (RFC 4343)', 'EXAMPLE.com', 'example.COM', true],
    ['a subdomain of the author', 'example.com', 'mail.example.com', true],
    ['a parent of the author', 'mail.example.com', 'example.com', true],
    ['a sibling of the author', 'news.example.com', 'foo.example.com', true],
    ['another domain', 'example.com', 'example.net', false],
    ['a name that only ends alike', 'example.com', 'badexample.com', false],
    ['the public suffix', 'example.com', 'com', false],
  ])('relaxed: %s', async (_title, author, signer, passes) => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=reject' });
    const from = `a@${author}`;
    expect(await check(zone, { from, dkim: dkim(signer) })).toMatchObject({
      result: passes ? 'pass' : 'fail',
      dkimAligned: passes,
      spfAligned: false,
    });
    expect(await check(zone, { from, spf: spf(signer) })).toMatchObject({
      result: passes ? 'pass' : 'fail',
      dkimAligned: false,
      spfAligned: passes,
    });
  });

  it.each([
    ['adkim=s', 'example.com', 'mail.example.com', false],
    ['adkim=s', 'example.com', 'example.com', true],
    ['adkim=r', 'example.com', 'mail.example.com', true],
  ])('%s: DKIM of %s by %s', async (tag, author, signer, passes) => {
    const zone = policies({ 'example.com': `v=DMARC1; p=reject; ${tag}` });
    const result = await check(zone, { from: `a@${author}`, dkim: dkim(signer) });
    expect(result.result).toBe(passes ? 'pass' : 'fail');
  });

  it('aspf=s is about SPF alone, adkim=s about DKIM alone', async () => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=reject; aspf=s' });
    expect(await check(zone, { spf: spf('mail.example.com') })).toMatchObject({ result: 'fail' });
    expect(await check(zone, { dkim: dkim('mail.example.com') })).toMatchObject({ result: 'pass' });
    const other = policies({ 'example.com': 'v=DMARC1; p=reject; adkim=s' });
    expect(await check(other, { spf: spf('mail.example.com') })).toMatchObject({ result: 'pass' });
  });

  it('a strict record of a parent is strict for its subdomains', async () => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=reject; adkim=s; aspf=s' });
    const from = 'a@mail.example.com';
    expect(await check(zone, { from, dkim: dkim('example.com') })).toMatchObject({ result: 'fail' });
    expect(await check(zone, { from, spf: spf('mail.example.com') })).toMatchObject({ result: 'pass' });
  });

  it('psd=y separates the organizations below it', async () => {
    const zone = policies({ 'co.uk': 'v=DMARC1; p=reject; psd=y' });
    const from = 'a@mail.one.co.uk';
    expect(await check(zone, { from, dkim: dkim('one.co.uk') })).toMatchObject({
      result: 'pass',
      organizationalDomain: 'one.co.uk',
    });
    expect(await check(zone, { from, dkim: dkim('two.co.uk') })).toMatchObject({ result: 'fail' });
    expect(await check(zone, { from, dkim: dkim('co.uk') })).toMatchObject({ result: 'fail' });
  });

  it('psd=n separates a part of an organization', async () => {
    const zone = policies({
      'example.com': 'v=DMARC1; p=reject',
      'college.example.com': 'v=DMARC1; p=reject; psd=n',
    });
    const college = 'a@x.college.example.com';
    expect(await check(zone, { from: college, dkim: dkim('college.example.com') })).toMatchObject({
      result: 'pass',
    });
    expect(await check(zone, { from: college, dkim: dkim('example.com') })).toMatchObject({ result: 'fail' });
    expect(await check(zone, { dkim: dkim('college.example.com') })).toMatchObject({ result: 'fail' });
  });

  it('without records above, the author domain is its own organization', async () => {
    const zone = policies({ 'mail.example.com': 'v=DMARC1; p=reject' });
    expect(await check(zone, { from: 'a@mail.example.com', dkim: dkim('example.com') })).toMatchObject({
      result: 'fail',
    });
    expect(await check(zone, { from: 'a@mail.example.com', dkim: dkim('x.mail.example.com') })).toMatchObject(
      {
        result: 'pass',
      },
    );
  });

  it('counts only what has passed (4.4.1, 4.4.2)', async () => {
    const bad = ['fail', 'policy', 'permerror'] as const;
    for (const result of bad)
      expect(await check(REJECT, { dkim: dkim('example.com', result) })).toMatchObject({ result: 'fail' });
    for (const result of ['fail', 'softfail', 'neutral', 'none', 'permerror'] as const) {
      expect(await check(REJECT, { spf: spf('example.com', result) })).toMatchObject({ result: 'fail' });
    }
  });

  it('does not count SPF of HELO (4.4.2)', async () => {
    const helo = { ...spf('example.com'), identity: 'helo' } as const;
    expect(await check(REJECT, { spf: helo })).toMatchObject({ result: 'fail' });
    expect(await check(REJECT, { spf: { ...helo, identity: 'mailfrom' } })).toMatchObject({ result: 'pass' });
  });

  it('one of several signatures is enough (4.4.1)', async () => {
    const all = [...dkim('example.net'), ...dkim('example.com', 'fail'), ...dkim('example.com')];
    expect(await check(REJECT, { dkim: all })).toMatchObject({ result: 'pass', disposition: 'none' });
  });

  it('signatures of strangers cost no questions', async () => {
    const resolver = zoneResolver(REJECT);
    const strangers = Array.from({ length: 50 }, (_, i) => dkim(`a.b.c.d.e${i}.example.net`)).flat();
    const others = Array.from({ length: 50 }, (_, i) => dkim(`a.b.c.d${i}.other.com`)).flat();
    await checkDmarc({ from: 'a@example.com', dkim: [...strangers, ...others] }, { resolver });
    expect(resolver.asked).toEqual(['_dmarc.example.com', '_dmarc.com']);
  });
});

describe('failures of DNS (5.3.6)', () => {
  it.each(['ETIMEOUT', 'ESERVFAIL', 'EREFUSED', 'ECANCELLED', 'EBADRESP'])(
    '%s is temperror, and nothing is done',
    async (code) => {
      const zone = policies({ 'example.com': dnsError(code) });
      expect(await check(zone)).toMatchObject({ result: 'temperror', policy: 'none', disposition: 'none' });
      const above = policies({ com: dnsError(code) });
      expect(await check(above)).toMatchObject({ result: 'temperror', disposition: 'none' });
    },
  );

  it('a limit of questions is temperror: a sender could use them up to hide the policy of another domain', async () => {
    const limit = Object.assign(dnsError('ERR_MILTER_DNS_LIMIT'), { temporary: false });
    expect(await check(policies({ 'example.com': limit }))).toMatchObject({
      result: 'temperror',
      disposition: 'none',
    });
  });

  it('a signature or SPF that DNS could not tell may have passed, if its domain is aligned', async () => {
    expect(await check(REJECT, { dkim: dkim('example.com', 'temperror') })).toMatchObject({
      result: 'temperror',
      disposition: 'none',
    });
    expect(await check(REJECT, { spf: spf('mail.example.com', 'temperror') })).toMatchObject({
      result: 'temperror',
    });
    expect(await check(REJECT, { dkim: dkim('example.net', 'temperror') })).toMatchObject({ result: 'fail' });
    expect(
      await check(REJECT, { dkim: dkim('example.com', 'temperror'), spf: spf('example.com') }),
    ).toMatchObject({ result: 'pass' });
  });

  it('a walk that fails does not matter if another identifier is aligned', async () => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=reject', 'sub.example.com': dnsError('ETIMEOUT') });
    expect(await check(zone, { dkim: dkim('sub.example.com') })).toMatchObject({ result: 'temperror' });
    expect(await check(zone, { dkim: dkim('sub.example.com'), spf: spf('example.com') })).toMatchObject({
      result: 'pass',
    });
  });
});

describe('test mode and percentages (4.7 t=, RFC 7489 6.6.4)', () => {
  it.each([
    ['reject', 'quarantine'],
    ['quarantine', 'none'],
    ['none', 'none'],
  ] as const)('t=y makes %s %s', async (published, applied) => {
    const result = await check(policies({ 'example.com': `v=DMARC1; p=${published}; t=y` }));
    expect(result).toMatchObject({ publishedPolicy: published, policy: applied, disposition: applied });
    expect(result.overrides).toEqual(published === 'none' ? [] : [{ type: 'policy_test_mode' }]);
  });

  it.each([
    [30, 0.29, 'reject'],
    [30, 0.3, 'quarantine'],
    [0, 0, 'quarantine'],
    [100, 0.999, 'reject'],
  ] as const)('pct=%i at %f is %s', async (percentage, number, applied) => {
    const zone = policies({ 'example.com': `v=DMARC1; p=reject; pct=${percentage}` });
    const result = await check(zone, {}, { random: () => number });
    expect(result.disposition).toBe(applied);
    expect(result.overrides).toEqual(
      applied === 'reject' ? [] : [{ type: 'other', comment: `sampled out (pct=${percentage})` }],
    );
  });

  it('is nothing to a message that passes', async () => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=reject; t=y' });
    expect(await check(zone, { spf: spf('example.com') })).toMatchObject({
      result: 'pass',
      overrides: [],
      disposition: 'none',
    });
  });
});

describe('the author domain (5.3.1, 11.5)', () => {
  const aligned = { spf: spf('example.com') };

  it.each([
    ['a name', 'Ann <a@example.com>'],
    ['a quoted name with another address', '"b@evil.example" <a@example.com>'],
    ['a bare name with another address', 'b@evil.example <a@example.com>'],
    ['a comment', 'a@example.com (b@evil.example)'],
    ['comments and folds in the address', '(x)\n a (y(z)) @ (w)\n example . com (v)'],
    ['a route (RFC 5322 4.4)', '<@hop.example,@hop2.example:a@example.com>'],
    ['a quoted local part with an @', '"b@evil.example"@example.com'],
    ['a backslash in quotes', '"\\"b\\\\" <a@example.com>'],
    ['a group of one', 'Team: a@example.com;'],
    ['two authors of the same domain', 'a@example.com, b@EXAMPLE.com'],
    ['a dot at the end', 'a@example.com.'],
    ['an empty element', ', a@example.com,'],
    ['UTF-8 in the name', 'Änn é <a@example.com>'],
  ])('is found with %s', async (_title, from) => {
    expect(await check(REJECT, { from, ...aligned })).toMatchObject({
      result: 'pass',
      domain: 'example.com',
    });
  });

  it('has its U-labels made A-labels', async () => {
    const zone = policies({ 'xn--bcher-kva.example': 'v=DMARC1; p=reject' });
    for (const from of [
      'a@bücher.example',
      'a@BÜCHER.example',
      'a@xn--bcher-kva.example',
      'ü@bücher.example',
    ]) {
      expect(await check(zone, { from })).toMatchObject({
        domain: 'xn--bcher-kva.example',
        disposition: 'reject',
      });
    }
    expect(
      await check(zone, { from: 'a@bücher.example', dkim: dkim('xn--bcher-kva.example') }),
    ).toMatchObject({ result: 'pass' });
    expect(await check(zone, { from: 'a@bücher.example', spf: spf('bücher.example') })).toMatchObject({
      result: 'pass',
    });
  });

  it('two From fields never pass, even of one domain', async () => {
    const twice = { from: ['a@example.com', 'b@example.com'], ...aligned };
    expect(await check(REJECT, twice)).toMatchObject({ result: 'fail', disposition: 'reject' });
    const mixed = { from: ['a@example.net', 'b@example.com'], spf: spf('example.net') };
    expect(await check(REJECT, mixed)).toMatchObject({
      result: 'fail',
      domain: 'example.com',
      disposition: 'reject',
    });
    expect(await check({}, twice)).toMatchObject({ result: 'permerror', disposition: 'none' });
  });

  it('a fold or a comment hides no domain of several From fields', async () => {
    for (const hidden of [
      'a@\n example.com',
      'a@(x)example.com',
      '<a@example(x).\n com>',
      'a@"example.com"',
    ]) {
      const from = [hidden, 'b@example.net'];
      expect(await check(REJECT, { from, spf: spf('example.net') })).toMatchObject({
        result: 'fail',
        domain: 'example.com',
        disposition: 'reject',
      });
    }
  });

  it('authors of several domains never pass, and the strictest policy of those that fail is applied', async () => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=quarantine', 'example.net': 'v=DMARC1; p=reject' });
    const from = 'a@example.com, b@example.net';
    expect(await check(zone, { from })).toMatchObject({
      result: 'fail',
      domain: 'example.net',
      disposition: 'reject',
    });
    expect(await check(zone, { from, spf: spf('example.net') })).toMatchObject({
      result: 'fail',
      domain: 'example.com',
      disposition: 'quarantine',
    });
    const both = { from, dkim: [...dkim('example.com'), ...dkim('example.net')] };
    expect(await check(zone, both)).toMatchObject({ result: 'permerror', disposition: 'none' });
  });

  it.each([
    ['two addresses in angle brackets', '<a@example.net> <b@example.com>'],
    ['two addresses without a comma', 'a@example.net b@example.com'],
    ['text behind the address', '<a@example.com> b'],
    ['two @', 'a@example.net@example.com'],
    ['an open bracket', 'Ann <a@example.com'],
    ['an open quote', '"Ann <a@example.com>'],
    ['an open comment', 'a@example.com (Ann'],
    ['a NUL', 'a@example.com\0'],
    ['no local part', '@example.com'],
    ['a space in the domain', 'a@example.net @example.com'],
    ['an address in the place of a route', '<a@example.com:b@example.net>'],
    ['an address in front of a port', '<a@example.com:25>'],
    ['an address in front of a colon alone', '<a@example.com:>'],
    ['a local part in the place of a route', '<a:b@example.com>'],
    ['an empty route', '<:a@example.com>'],
    ['a route without an address', '<@example.com:>'],
    ['an address in quotes in front of a local part', '"a@example.com" b@example.net'],
    ['words in front of an address', 'Ann Smith a@example.com'],
    ['an address in front of an empty one', 'a@example.com <>'],
    ['an address in front of a local one', 'a@example.com <root>'],
    ['a domain in quotes', 'Ann <a@"example.com">'],
    ['a fold behind the @', '<a@\n example.com'],
    ['comments around the domain and its dots', '<a@ (c (d)) example (e) . com'],
    ['a space that is none, behind the domain', 'a@example.com\u00a0, b@example.com>'],
  ])('a malformed field does not pass for any domain in it: %s', async (_title, from) => {
    const dkimOfBoth = [...dkim('example.com'), ...dkim('example.net')];
    expect(await check(REJECT, { from, dkim: dkimOfBoth })).toMatchObject({
      result: 'fail',
      disposition: 'reject',
    });
  });

  it.each([
    ['no field', []],
    ['an empty field', ''],
    ['an empty address', '<>'],
    ['an empty group', 'undisclosed:;'],
    ['a local address', 'root'],
    ['a domain literal', 'a@[192.0.2.1]'],
    ['a name that is not one', 'a@exa_mple..com'],
    ['a label of 64 characters', `a@${'x'.repeat(64)}.com`],
  ])('is permerror for %s', async (_title, from) => {
    expect(await check(REJECT, { from, ...aligned })).toMatchObject({
      result: 'permerror',
      disposition: 'none',
    });
  });

  it.each(['a@[192.0.2.1], b@example.com', 'b@example.com, a@[192.0.2.1]', 'a@x_..y, b@example.com'])(
    'an address without a domain name hides no other: %s',
    async (from) => {
      expect(await check(REJECT, { from, ...aligned })).toMatchObject({
        result: 'fail',
        disposition: 'reject',
      });
    },
  );

  it('maxAuthorDomains bounds the questions', async () => {
    const resolver = zoneResolver({});
    const from = Array.from({ length: 100 }, (_, i) => `a@d${i}.example`).join(', ');
    await checkDmarc({ from }, { resolver });
    expect(resolver.asked).toEqual([
      '_dmarc.d0.example',
      '_dmarc.d1.example',
      '_dmarc.d2.example',
      '_dmarc.d3.example',
      '_dmarc.example',
    ]);
    expect((await checkDmarc({ from }, { resolver })).reason).toMatch(/several domains, 96 were not asked$/);
  });

  it('an exception for one of several authors is none for another, in any order', async () => {
    const zone = policies({ 'example.com': 'v=DMARC1; p=reject', 'example.net': 'v=DMARC1; p=reject' });
    const localPolicy = ({ domain }: DmarcResult) =>
      domain === 'example.net' ? ({ disposition: 'none', type: 'local_policy' } as const) : undefined;
    const [one, other] = ['a@example.com', 'b@example.net'];
    for (const from of [`${one}, ${other}`, `${other}, ${one}`, [one, other], [other, one]]) {
      expect(await check(zone, { from }, { localPolicy })).toMatchObject({
        domain: 'example.com',
        disposition: 'reject',
      });
    }
    expect(await check(zone, { from: [other, other] }, { localPolicy })).toMatchObject({
      disposition: 'none',
    });
    expect(await check(zone, { from: [other, one] }, { localPolicy, dryRun: true })).toMatchObject({
      domain: 'example.com',
      disposition: 'none',
      overrides: [{ comment: 'dry run' }],
    });
  });

  it('a field of megabytes is malformed, and costs no more than its limit', async () => {
    for (const part of ['(', '<', '"', 'a@b.example,', '@', '\\', ' ']) {
      expect((await check(REJECT, { from: part.repeat(300_000) })).result).toMatch(/^(none|permerror)$/);
    }
  });
});

describe('overrides', () => {
  const results = 'i=1; list.example; dmarc=pass header.from=example.com; spf=pass smtp.remote-ip=192.0.2.9';
  const zone = { ...ZONE, ...REJECT };
  const sealed = async (text = results, count = 1) => {
    let mail = addSet(MAIL, 1, { results: text });
    for (let instance = 2; instance <= count; instance++) {
      mail = addSet(mail, instance, {
        results: `i=${instance}; other.example; dmarc=fail header.from=example.com`,
      });
    }
    return verifyArc(mail);
  };
  const trusting = { trustedSealers: ['Example.com'] };

  it('lets through what a trusted sealer says has passed, with the comment of RFC 8617 7.2.2', async () => {
    const arc = await sealed();
    expect(arc.result).toBe('pass');
    expect(await check(zone, { arc }, trusting)).toMatchObject({
      result: 'fail',
      policy: 'reject',
      disposition: 'none',
      overrides: [
        { type: 'local_policy', comment: 'arc=pass as[1].d=example.com as[1].s=r remote-ip[1]=192.0.2.9' },
      ],
    });
  });

  it('believes an older set if all sealers since are trusted', async () => {
    const arc = await sealed(results, 3);
    expect(await check(zone, { arc }, trusting)).toMatchObject({ disposition: 'none' });
    const [first, ...others] = arc.sets;
    const strange = {
      ...arc,
      sets: [first as never, ...others.map((set) => ({ ...set, domain: 'evil.example' }))],
    };
    expect(await check(zone, { arc: strange }, trusting)).toMatchObject({ disposition: 'reject' });
  });

  it.each<[string, string, Partial<CheckDmarcOptions>]>([
    ['nobody is trusted', results, {}],
    ['another sealer is trusted', results, { trustedSealers: ['example.org'] }],
    ['only subdomains are trusted', results, { trustedSealers: ['.example.com'] }],
    ['it says fail', results.replace('dmarc=pass', 'dmarc=fail'), trusting],
    ['it says nothing of DMARC', 'i=1; list.example; dkim=pass header.d=example.com', trusting],
    ['it does not say for which domain', 'i=1; list.example; dmarc=pass', trusting],
    ['it says so of another domain', results.replace('from=example.com', 'from=example.net'), trusting],
    ['it says both', `${results}; dmarc=fail header.from=example.com`, trusting],
  ])('does not if %s', async (_title, text, options) => {
    expect(await check(zone, { arc: await sealed(text) }, options)).toMatchObject({
      disposition: 'reject',
      overrides: [],
    });
  });

  it('does not believe a chain that fails, or that DNS cannot tell', async () => {
    const arc = await sealed();
    for (const result of ['fail', 'temperror', 'none'] as const) {
      expect(await check(zone, { arc: { ...arc, result } }, trusting)).toMatchObject({
        disposition: 'reject',
      });
    }
  });

  it('a chain does not help a message with two From fields', async () => {
    const arc = await sealed();
    const from = ['a@example.com', 'a@example.com'];
    expect(await check(zone, { arc, from }, trusting)).toMatchObject({ disposition: 'reject' });
  });

  it('localPolicy decides, and is told what the domain asks for', async () => {
    const seen: DmarcResult[] = [];
    const localPolicy = (result: DmarcResult) => {
      seen.push(result);
      return { disposition: 'quarantine', type: 'mailing_list', comment: 'known list' } as const;
    };
    expect(await check(zone, {}, { localPolicy })).toMatchObject({
      disposition: 'quarantine',
      overrides: [{ type: 'mailing_list', comment: 'known list' }],
    });
    expect(seen).toMatchObject([{ disposition: 'reject' }]);
    expect(await check(zone, {}, { localPolicy: async () => undefined })).toMatchObject({
      disposition: 'reject',
    });
    expect(await check(zone, { spf: spf('example.com') }, { localPolicy })).toMatchObject({
      result: 'pass',
      disposition: 'none',
    });
    expect(seen.length).toBe(1);
  });

  it('dryRun only says what would be done', async () => {
    expect(await check(zone, {}, { dryRun: true })).toMatchObject({
      result: 'fail',
      policy: 'reject',
      disposition: 'none',
      overrides: [{ type: 'local_policy', comment: 'dry run' }],
    });
  });
});

describe('options, and Authentication-Results', () => {
  it('refuses options that it does not know', async () => {
    const code = expect.objectContaining({ code: 'ERR_MILTER_BAD_ARGUMENT' });
    await expect(check({}, {}, { dryrun: true } as never)).rejects.toEqual(code);
    await expect(check({}, {}, { maxAuthorDomains: 0 })).rejects.toEqual(code);
    await expect(checkDmarc({ from: '' }, { resolver: {} as never })).rejects.toEqual(code);
  });

  it('writes header.from and policy.dmarc (9.1)', async () => {
    const write = async (zone: Zone, message: Partial<DmarcMessage> = {}) =>
      formatAuthRes({ id: 'mx', results: [dmarcAuthRes(await check(zone, message))] });
    expect(await write(REJECT, { spf: spf('example.com') })).toBe(
      'mx;\n\tdmarc=pass header.from=example.com policy.dmarc=reject',
    );
    expect(await write(REJECT)).toMatch(
      /dmarc=fail reason="neither .*" header\.from=example\.com policy\.dmarc=reject$/,
    );
    expect(await write({})).toMatch(/dmarc=none reason=".*" header\.from=example\.com$/);
    expect(await write(REJECT, { from: '' })).toMatch(/dmarc=permerror reason="[^"]*"$/);
  });
});
