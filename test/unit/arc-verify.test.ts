/** ArcVerifier: each rule of RFC 8617, by a chain that breaks it and is right otherwise. */
import { describe, expect, it } from '@jest/globals';
import { type ArcResult, ArcVerifier, arcAuthRes } from 'tsmilter/arc';
import { DkimVerifier } from 'tsmilter/dkim';
import { addSet, bodyHash, chained, type SetChanges, verifyArc } from '../support/arc.js';
import {
  dnsError,
  ED25519_KEY,
  MAIL,
  NOW,
  publicRsa,
  signed,
  type TestMail,
  ZONE,
  type Zone,
  zoneResolver,
} from '../support/dkim.js';

const zone = (record: string): Zone => ({ 'r._domainkey.example.com': [[record]] });
const one = (changes: SetChanges = {}): TestMail => addSet(MAIL, 1, changes);
const two = (changes: SetChanges = {}): TestMail => addSet(one(), 2, changes);

async function outcome(mail: TestMail, ...rest: [Zone?, Parameters<typeof verifyArc>[2]?]): Promise<string> {
  return (await verifyArc(mail, ...rest)).result;
}

/** The message, its fields changed. */
function edited(
  mail: TestMail,
  edit: (name: string, value: string, index: number) => readonly [string, string] | undefined,
): TestMail {
  const headers = mail.headers.flatMap(([name, value], index) => {
    const changed = edit(name, value, index);
    return changed ? [changed] : [];
  });
  return { ...mail, headers };
}

describe('the chain validation status (RFC 8617 4.4, 5.2)', () => {
  it('is none for a message without ARC fields', async () => {
    expect(await verifyArc(MAIL)).toEqual({ result: 'none', sets: [] });
  });

  it('is pass for valid chains, with what a policy needs of each set', async () => {
    expect(await verifyArc(chained(1))).toMatchObject({ result: 'pass', oldestPass: 0 });
    expect(await verifyArc(chained(3))).toEqual({
      result: 'pass',
      oldestPass: 0,
      sets: [1, 2, 3].map((instance) => ({
        instance,
        domain: 'example.com',
        selector: 'r',
        algorithm: 'rsa-sha256',
        chainStatus: instance === 1 ? 'none' : 'pass',
        signedAt: 12345,
        authRes: {
          id: 'lists.example.org',
          results: [
            {
              method: 'spf',
              result: 'pass',
              properties: [{ ptype: 'smtp', property: 'mfrom', value: 'jqd@d1.example' }],
            },
            { method: 'dmarc', result: 'pass' },
          ],
        },
      })),
    });
  });

  it('shares the pass with the DKIM signatures, and asks for each key once', async () => {
    const mail = chained(2, await signed());
    const resolver = zoneResolver(ZONE);
    const verifier = new DkimVerifier({ resolver, now: () => NOW });
    const arc = new ArcVerifier(verifier);
    for (const [name, value] of mail.headers) verifier.header(name, value);
    verifier.eoh();
    verifier.body(Buffer.from(mail.body));
    const [first, chain] = [await verifier.eom(), await arc.eom()];
    expect(first.map(({ result }) => result)).toEqual(['pass']);
    expect(chain.result).toBe('pass');
    expect(resolver.asked).toEqual(['r._domainkey.example.com']);
  });

  it('passes for Ed25519, and for keys of both kinds in one chain (RFC 8463)', async () => {
    expect(await outcome(one({ key: ED25519_KEY }))).toBe('pass');
    expect(await outcome(two({ key: ED25519_KEY }))).toBe('pass');
  });

  it('passes for 50 sets, and fails for 51 (4.2.1)', async () => {
    const fifty = chained(50);
    expect(await outcome(fifty)).toBe('pass');
    expect(await outcome(addSet(fifty, 51))).toBe('fail');
  });

  it('does not depend on where the sets stand in the header', async () => {
    const mail = two();
    expect(await outcome({ ...mail, headers: [...mail.headers].reverse() })).toBe('pass');
  });
});

describe('the structure (5.2 steps 2 and 3)', () => {
  it.each(['results', 'signature', 'seal'] as const)('fails without %s, in any set', async (kind) => {
    expect(await outcome(one({ without: [kind] }))).toBe('fail');
    expect(await outcome(two({ without: [kind] }))).toBe('fail');
    expect(await outcome(addSet(one({ without: [kind] }), 2))).toBe('fail');
  });

  it.each(['arc-authentication-results', 'arc-message-signature', 'arc-seal'])(
    'fails for two %s fields of an instance',
    async (kind) => {
      const mail = one();
      const twice = mail.headers.filter(([name]) => name.toLowerCase() === kind);
      expect(await outcome({ ...mail, headers: [...twice, ...mail.headers] })).toBe('fail');
    },
  );

  it('fails for a gap between instances', async () => {
    expect(await outcome(addSet(one(), 3))).toBe('fail');
    expect(await outcome(addSet(MAIL, 2, { seal: { cv: 'none' } }))).toBe('fail');
  });

  it.each<[string, TestMail]>([
    ['a first seal that says pass', one({ seal: { cv: 'pass' } })],
    ['a first seal that says fail', one({ seal: { cv: 'fail' } })],
    ['a later seal that says none', two({ seal: { cv: 'none' } })],
    ['a later seal that says fail, over all sets', two({ seal: { cv: 'fail' } })],
    ['a later seal that says fail, alone (5.1.2)', two({ seal: { cv: 'fail' }, alone: true })],
    ['a chain that goes on behind a failed seal (5.1.3)', addSet(two({ seal: { cv: 'fail' } }), 3)],
    ['instances in the wrong order of sealing', addSet(addSet(MAIL, 2), 1)],
  ])('fails for %s', async (_title, mail) => {
    expect(await outcome(mail)).toBe('fail');
  });

  it.each([
    ['0', 'zero'],
    ['51', 'more than 50'],
    ['-1', 'a sign'],
    ['+1', 'a sign'],
    ['1.0', 'a fraction'],
    ['001', 'three digits'],
    ['1 1', 'a space inside'],
    ['a', 'a letter'],
    ['', 'nothing'],
    ['1e0', 'an exponent'],
    ['0x1', 'hexadecimal'],
    ['１', 'digits that are not ASCII'],
  ])('fails for i=%s (%s) in any field', async (i) => {
    expect(await outcome(one({ seal: { i } }))).toBe('fail');
    expect(await outcome(one({ signature: { i } }))).toBe('fail');
    expect(await outcome(one({ results: `i=${i}; a.example; none` }))).toBe('fail');
  });

  it('takes i=01 as 1 (position = 1*2DIGIT, 3.9)', async () => {
    expect(await outcome(one({ seal: { i: '01' }, signature: { i: '01' } }))).toBe('pass');
  });

  it('takes a field name in any case', async () => {
    const names = {
      seal: 'arc-SEAL',
      signature: 'ARC-MESSAGE-signature',
      results: 'Arc-Authentication-results',
    };
    expect(await outcome(one({ names }))).toBe('pass');
  });
});

describe('ARC-Authentication-Results (4.1.1)', () => {
  it.each<[string, string, string]>([
    [
      'pass',
      'comments and folds around the instance',
      '(x) i (y) =\n (z(z)) 1 (a) ; lists.example.org; none',
    ],
    ['pass', 'an instance without a space behind', 'i=1;lists.example.org;spf=pass'],
    ['pass', 'UTF-8 (4.1.4)', 'i=1; bücher.example; spf=pass smtp.mailfrom=é@example.com'],
    ['pass', 'results that nobody can read', 'i=1; ???'],
    ['fail', 'no instance', 'lists.example.org; spf=pass'],
    ['fail', 'an instance that is not in front', 'lists.example.org; i=1; spf=pass'],
    ['fail', 'two instances', 'i=1; i=1; lists.example.org; spf=pass'],
    ['fail', 'a name in upper case', 'I=1; lists.example.org; spf=pass'],
    ['fail', 'no semicolon behind the instance', 'i=1 lists.example.org; spf=pass'],
    ['fail', 'an open comment', 'i=1 (; lists.example.org; spf=pass'],
    ['fail', 'a semicolon in front', '; i=1; lists.example.org; spf=pass'],
  ])('%s: %s', async (expected, _title, results) => {
    expect(await outcome(one({ results }))).toBe(expected);
  });

  it('fails if it is changed after sealing, in any set', async () => {
    for (const instance of ['1', '2']) {
      const mail = edited(two(), (name, value) =>
        name === 'ARC-Authentication-Results' && value.startsWith(`i=${instance}`)
          ? [name, value.replace('spf=pass', 'spf=fail')]
          : [name, value],
      );
      expect(await outcome(mail)).toBe('fail');
    }
  });
});

const EITHER: readonly [kind: 'seal' | 'signature', text: 'sealText' | 'signatureText'][] = [
  ['seal', 'sealText'],
  ['signature', 'signatureText'],
];

describe.each(EITHER)('the tags of both signatures: %s (4.1.2, 4.1.3)', (kind, textOf) => {
  const tags = (changes: Record<string, string | undefined>): TestMail => one({ [kind]: changes });
  const text = (change: (text: string) => string): TestMail => one({ [textOf]: change });

  it.each(['a', 'd', 's', 'i'])('fails without %s=, and with it empty', async (tag) => {
    expect(await outcome(tags({ [tag]: undefined }))).toBe('fail');
    expect(await outcome(tags({ [tag]: '' }))).toBe('fail');
  });

  it.each(['a', 'd', 's', 'i', 't', 'b'])('fails with %s= twice, alike or not', async (tag) => {
    const again = (value: string) => (t: string) => t.replace(/b=$/, `${tag}=${value}; b=`);
    for (const value of ['1', 'r', 'example.com', 'rsa-sha256', '12345']) {
      expect(await outcome(text(again(value)))).toBe('fail');
    }
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['a=rsa-sha1 (RFC 8301)', { a: 'rsa-sha1' }],
    ['an unknown algorithm', { a: 'dsa-sha256' }],
    ['an algorithm in upper case', { a: 'RSA-SHA256' }],
    ['the algorithm of another key', { a: 'ed25519-sha256' }],
    ['a domain that is none', { d: 'not a domain' }],
    ['a domain with an empty label', { d: 'example..com' }],
    ['a selector that is none', { s: 'a b' }],
    ['a domain without that key', { d: 'example.org' }],
    ['a selector without a key', { s: 'none' }],
    ['a time that is none', { t: 'yesterday' }],
    ['a negative time', { t: '-1' }],
    ['an empty time', { t: '' }],
    ['a time of 13 digits', { t: '1234567890123' }],
    ['a time ahead', { t: String(NOW / 1000 + 600) }],
  ])('fails for %s', async (_title, changes) => {
    expect(await outcome(tags(changes))).toBe('fail');
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['without a time', { t: undefined }],
    ['with a time just ahead, for clocks differ', { t: String(NOW / 1000 + 200) }],
    ['with v= (4.1.2: it is ignored)', { v: '1' }],
    ['with an unknown tag', { zz: 'whatever' }],
    ['with a domain in upper case', { d: 'EXAMPLE.com' }],
  ])('passes %s', async (_title, changes) => {
    expect(await outcome(tags(changes))).toBe('pass');
  });

  it.each<[string, (text: string) => string]>([
    [
      'folds and tabs around tags',
      (t) => t.replace(/; /g, ' ;\n\t ').replace(/=/g, ' = ').replace(/ = $/, '='),
    ],
    ['no white space', (t) => t.replaceAll('; ', ';')],
    ['a semicolon at the end', (t) => `${t};`],
    ['a semicolon and a fold at the end', (t) => `${t};\n `],
    [
      'the tags in another order',
      (t) => `${t.slice(0, -2).split('; ').filter(Boolean).reverse().join('; ')}; b=`,
    ],
    ['a comment in front (3.9)', (t) => `(by hand) ${t}`],
  ])('passes with %s', async (_title, change) => {
    expect(await outcome(text(change))).toBe('pass');
  });

  it.each<[string, (text: string) => string]>([
    ['a semicolon too many', (t) => t.replace('; ', ';; ')],
    ['a semicolon in front', (t) => `;${t}`],
    ['two semicolons at the end', (t) => `${t};;`],
    ['an empty tag of white space', (t) => t.replace('; ', '; \t ; ')],
    ['a tag without =', (t) => t.replace('; ', '; nothing; ')],
    ['a tag name with a hyphen', (t) => t.replace('; ', '; a-b=c; ')],
    ['a tag name that begins with a digit', (t) => t.replace('; ', '; 1a=c; ')],
    ['a comment inside', (t) => t.replace('d=', '(d) d=')],
    ['names in upper case', (t) => t.replace('d=', 'D=')],
    ['the instance in upper case', (t) => t.replace('i=', 'I=')],
    ['a control character', (t) => t.replace('; ', '; x=\x01; ')],
    ['commas instead of semicolons', (t) => t.replaceAll(';', ',')],
    ['a text in front', (t) => `x ${t}`],
  ])('fails with %s', async (_title, change) => {
    expect(await outcome(text(change))).toBe('fail');
  });

  it.each<[string, (b: string) => string]>([
    ['is empty', () => ''],
    ['is not base64', (b) => `!${b.slice(1)}`],
    ['is cut off', (b) => b.slice(0, -8)],
    ['is of another text', (b) => `${b.startsWith('A') ? 'B' : 'A'}${b.slice(1)}`],
    ['is a single character', () => 'A'],
  ])('fails if b= %s', async (_title, change) => {
    const field = kind === 'seal' ? 'ARC-Seal' : 'ARC-Message-Signature';
    const mail = edited(one(), (name, value) =>
      name === field
        ? [name, value.replace(/b=([A-Za-z0-9+/=]*)$/, (_all, b: string) => `b=${change(b)}`)]
        : [name, value],
    );
    expect(await outcome(mail)).toBe('fail');
  });

  it('fails without b=', async () => {
    const field = kind === 'seal' ? 'ARC-Seal' : 'ARC-Message-Signature';
    const mail = edited(one(), (name, value) =>
      name === field ? [name, value.replace(/; b=[A-Za-z0-9+/=]*$/, '')] : [name, value],
    );
    expect(await outcome(mail)).toBe('fail');
  });

  it('takes folds in base64 (RFC 6376 3.5)', async () => {
    // A seal covers the message signature as it is, so only the fold in the seal may be made afterwards.
    const mail = edited(
      one({ signature: { bh: bodyHash(MAIL).replace(/^(.{20})/, '$1\n\t ') } }),
      (name, value) =>
        name === 'ARC-Seal' ? [name, value.replace(/b=(.{20})/, 'b=$1\n\t ')] : [name, value],
    );
    expect(await outcome(mail)).toBe('pass');
  });
});

describe('ARC-Seal alone (4.1.3)', () => {
  it.each<[string, Record<string, string | undefined>]>([
    ['h=', { h: 'from' }],
    ['an empty h=', { h: '' }],
    ['no cv=', { cv: undefined }],
    ['an empty cv=', { cv: '' }],
    ['an unknown cv=', { cv: 'maybe' }],
    ['two words in cv=', { cv: 'none none' }],
  ])('fails with %s', async (_title, seal) => {
    expect(await outcome(one({ seal }))).toBe('fail');
  });

  it('takes cv= in any letter case (3.9, RFC 5234 2.3), and says it in lower case', async () => {
    expect(await verifyArc(two({ seal: { cv: 'Pass' } }))).toMatchObject({
      result: 'pass',
      sets: [{ chainStatus: 'none' }, { chainStatus: 'pass' }],
    });
    expect(await outcome(one({ seal: { cv: 'NONE' } }))).toBe('pass');
    expect(await outcome(one({ seal: { cv: 'PASS' } }))).toBe('fail');
    expect(await outcome(two({ seal: { cv: 'FAIL' } }))).toBe('fail');
  });

  it('fails with cv= twice', async () => {
    expect(await outcome(one({ sealText: (t) => t.replace(/b=$/, 'cv=none; b=') }))).toBe('fail');
    expect(await outcome(one({ sealText: (t) => t.replace(/b=$/, 'cv=fail; b=') }))).toBe('fail');
  });

  it('is always relaxed: c= and bh= mean nothing in it', async () => {
    expect(await outcome(one({ seal: { c: 'simple/simple', bh: 'x', x: '1' } }))).toBe('pass');
    const spaced = edited(two(), (name, value) =>
      name === 'ARC-Seal' ? [name.toUpperCase(), value.replaceAll('; ', ';\n   ')] : [name, value],
    );
    // A fold where a space was is the same in relaxed form; unlike a space where none was.
    expect(await outcome(spaced)).toBe('pass');
    const moved = edited(two(), (name, value) =>
      name === 'ARC-Seal' ? [name, value.replaceAll('; ', ' ; ')] : [name, value],
    );
    expect(await outcome(moved)).toBe('fail');
  });

  it('covers every older field: a change of any fails the chain (5.1.1)', async () => {
    const mail = chained(3);
    const places = mail.headers.flatMap(([name], at) => (name.startsWith('ARC-') ? [at] : []));
    for (const place of places) {
      const changed = edited(mail, (name, value, at) =>
        at === place ? [name, value.replace(/example|lists/, 'other')] : [name, value],
      );
      expect(await outcome(changed)).toBe('fail');
    }
  });

  it('covers the sets in their order: fields of two sets swapped fail', async () => {
    const mail = addSet(one({ results: 'i=1; one.example; none' }), 2, { results: 'i=2; two.example; none' });
    const swapped = edited(mail, (name, value) =>
      name === 'ARC-Authentication-Results'
        ? [name, value.startsWith('i=1') ? 'i=1; two.example; none' : 'i=2; one.example; none']
        : [name, value],
    );
    expect(await outcome(mail)).toBe('pass');
    expect(await outcome(swapped)).toBe('fail');
  });
});

describe('ARC-Message-Signature alone (4.1.2, RFC 6376 3.5)', () => {
  it.each<[string, Record<string, string | undefined>]>([
    ['no h=', { h: undefined }],
    ['an empty h=', { h: '' }],
    ['an h= without From', { h: 'to:subject' }],
    ['an h= with ARC-Seal', { h: 'from:arc-seal' }],
    ['an h= with ARC-Seal in mixed case and folds', { h: 'from :\n\tARC-Seal : to' }],
    ['an h= with an empty name', { h: 'from::to' }],
    ['an h= with a space in a name', { h: 'from:t o' }],
    ['no bh=', { bh: undefined }],
    ['an empty bh=', { bh: '' }],
    ['a bh= that is not base64', { bh: '*' }],
    ['a bh= of a SHA-1', { bh: Buffer.alloc(20).toString('base64') }],
    ['a bh= of another body', { bh: Buffer.alloc(32).toString('base64') }],
    ['an unknown c=', { c: 'nowsp/relaxed' }],
    ['three words in c=', { c: 'relaxed/relaxed/relaxed' }],
    ['an empty c=', { c: '' }],
    ['an unknown q=', { q: 'http/txt' }],
    ['an l= beyond the body', { l: '100000' }],
    ['an l= that is none', { l: 'all' }],
    ['an x= that has passed', { x: '12346' }],
    ['an x= before t=', { t: '20', x: '10' }],
  ])('fails with %s', async (_title, signature) => {
    expect(await outcome(one({ signature }))).toBe('fail');
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['names that are not there', { h: 'from:to:x-none:from' }],
    ['names in any case, with folds', { h: 'FROM :\n\tTo : Subject' }],
    [
      'ARC-Authentication-Results among them, as some sealers have it',
      { h: 'from:arc-authentication-results' },
    ],
    ['q=dns/txt', { q: 'dns/txt' }],
    ['an x= ahead', { x: String(NOW / 1000 + 1000) }],
  ])('passes with %s', async (_title, signature) => {
    expect(await outcome(one({ signature }))).toBe('pass');
  });

  it.each(['h', 'bh', 'c'])('fails with %s= twice', async (tag) => {
    const value = { h: 'from', bh: bodyHash(MAIL), c: 'relaxed/relaxed' }[tag];
    expect(await outcome(one({ signatureText: (t) => t.replace(/b=$/, `${tag}=${value}; b=`) }))).toBe(
      'fail',
    );
  });

  it('fails if the body or a signed field is changed, and not for others', async () => {
    const mail = one();
    expect(await outcome({ ...mail, body: `${String(mail.body)}more\r\n` })).toBe('fail');
    expect(await outcome({ ...mail, body: `${String(mail.body)}\r\n\r\n` })).toBe('pass');
    const change = (changed: string) =>
      edited(mail, (name, value) => (name === changed ? [name, `${value} x`] : [name, value]));
    expect(await outcome(change('Subject'))).toBe('fail');
    expect(await outcome(change('Message-ID'))).toBe('pass');
  });
});

describe('older ARC-Message-Signatures and oldest-pass (5.2 step 5)', () => {
  const changedBetween = (at: number, count: number): TestMail => {
    let mail = MAIL;
    for (let instance = 1; instance <= count; instance++) {
      if (instance === at) mail = { ...mail, body: `${String(mail.body)}footer\r\n` };
      mail = addSet(mail, instance);
    }
    return mail;
  };

  it.each([
    [1, 3, 0],
    [2, 3, 2],
    [3, 3, 3],
    [4, 5, 4],
  ])(
    'a body changed before set %i of %i gives oldest-pass %i, and the chain passes',
    async (at, count, oldest) => {
      expect(await verifyArc(changedBetween(at, count))).toMatchObject({
        result: 'pass',
        oldestPass: oldest,
      });
    },
  );

  it('fails if it is the newest that does not match', async () => {
    const { body } = MAIL;
    const mail = { ...chained(2), body: `${String(body)}footer\r\n` };
    const result = await verifyArc(mail);
    expect(result).toMatchObject({ result: 'fail' });
    expect(result.oldestPass).toBeUndefined();
  });

  it('takes an old one that is invalid as one that does not match', async () => {
    const mail = addSet(one({ signature: { h: undefined } }), 2);
    expect(await verifyArc(mail)).toMatchObject({ result: 'pass', oldestPass: 2 });
  });
});

describe('keys', () => {
  it.each<[string, Zone, string]>([
    ['no record', {}, 'fail'],
    ['no record of that type', { 'r._domainkey.example.com': dnsError('ENODATA') }, 'fail'],
    ['an empty p= (revoked)', zone('v=DKIM1; p='), 'fail'],
    ['no p=', zone('v=DKIM1; k=rsa'), 'fail'],
    ['a p= that is not base64', zone('v=DKIM1; p=*'), 'fail'],
    ['another version', zone(`v=DKIM2; p=${publicRsa()}`), 'fail'],
    ['v= that is not in front', zone(`p=${publicRsa()}; v=DKIM1`), 'fail'],
    ['another type of key', zone(`v=DKIM1; k=ed25519; p=${publicRsa()}`), 'fail'],
    ['hashes without SHA-256', zone(`v=DKIM1; h=sha1; p=${publicRsa()}`), 'fail'],
    ['a service that is not mail', zone(`v=DKIM1; s=web; p=${publicRsa()}`), 'fail'],
    ['t=s, which is about the i= of DKIM', zone(`v=DKIM1; t=s; p=${publicRsa()}`), 'pass'],
    ['t=y', zone(`v=DKIM1; t=y; p=${publicRsa()}`), 'pass'],
    ['notes and unknown tags', zone(`v=DKIM1; n=x; zz=y; p=${publicRsa()}`), 'pass'],
    ['a server that fails', { 'r._domainkey.example.com': dnsError('ESERVFAIL') }, 'temperror'],
    ['a time-out', { 'r._domainkey.example.com': dnsError('ETIMEOUT') }, 'temperror'],
    [
      'a budget that is used up',
      { 'r._domainkey.example.com': dnsError('ERR_MILTER_DNS_LIMIT') },
      'temperror',
    ],
    [
      'a limit of questions, which says nothing of the chain',
      { 'r._domainkey.example.com': Object.assign(dnsError('ERR_MILTER_DNS_LIMIT'), { temporary: false }) },
      'temperror',
    ],
  ])('%s', async (_title, records, expected) => {
    expect(await outcome(two(), records)).toBe(expected);
  });

  it('a failure that is certain comes before one of DNS', async () => {
    const mail = edited(addSet(one({ seal: { s: 'slow' } }), 2), (name, value) =>
      name === 'Subject' ? [name, 'changed'] : [name, value],
    );
    const records = { ...ZONE, 'slow._domainkey.example.com': dnsError('ETIMEOUT') };
    expect(await outcome(mail, records)).toBe('fail');
  });

  it('an older message signature whose key DNS cannot tell leaves the chain passing', async () => {
    const mail = addSet(one({ signature: { s: 'slow' } }), 2);
    const records = { ...ZONE, 'slow._domainkey.example.com': dnsError('ETIMEOUT') };
    expect(await verifyArc(mail, records)).toMatchObject({ result: 'pass', oldestPass: 2 });
  });
});

describe('limits', () => {
  it('maxKeys bounds the questions of a chain, whatever its length', async () => {
    let mail = MAIL;
    for (let instance = 1; instance <= 20; instance++) {
      mail = addSet(mail, instance, { seal: { s: `s${instance}` }, signature: { s: `m${instance}` } });
    }
    const resolver = zoneResolver({});
    expect((await verifyArc(mail, {}, { resolver })).result).toBe('fail');
    expect(resolver.asked).toEqual([]);
    expect((await verifyArc(mail, {}, { resolver, maxKeys: 21 })).result).toBe('fail');
    expect(resolver.asked.length).toBe(21);
  });

  it('a header beyond maxHeaderBytes fails', async () => {
    expect(await outcome(one(), ZONE, { maxHeaderBytes: 500 })).toBe('fail');
  });

  it('thousands of ARC fields cost nothing: they are not even read', async () => {
    const headers = Array.from({ length: 3000 }, (_, i) => ['ARC-Seal', `i=${(i % 50) + 1}; x`] as const);
    const result = await verifyArc({ headers: [...headers, ...MAIL.headers], body: MAIL.body });
    expect(result).toEqual({ result: 'fail', reason: 'there are more than 50 sets', sets: [] });
  });

  it('says none before the header has ended, and takes only a DkimVerifier', async () => {
    const verifier = new DkimVerifier({ resolver: zoneResolver({}) });
    expect(await new ArcVerifier(verifier).eom()).toEqual({ result: 'none', sets: [] });
    expect(() => new ArcVerifier({} as DkimVerifier)).toThrow(
      expect.objectContaining({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
    expect(() => new ArcVerifier(verifier, { maxKeys: 0 })).toThrow(/maxKeys/);
    expect(() => new ArcVerifier(verifier, { maxkeys: 1 } as never)).toThrow(/did you mean maxKeys/);
  });

  it('nothing that a header may hold makes it throw', async () => {
    const parts = [
      'i=',
      '1',
      ';',
      'a=rsa-sha256',
      '; d=',
      'example.com',
      ' b=',
      '=',
      '(',
      ')',
      '\\',
      '"',
      '\n ',
      '\0',
      'é',
      'cv=none',
      '\udc80',
    ];
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * below);
    };
    for (let round = 0; round < 300; round++) {
      const value = () => Array.from({ length: random(12) }, () => parts[random(parts.length)]).join('');
      const headers = ['ARC-Seal', 'ARC-Message-Signature', 'ARC-Authentication-Results'].map(
        (name) => [name, value()] as const,
      );
      const { result } = await verifyArc({ headers: [...headers, ...MAIL.headers], body: '' });
      expect(result).toBe('fail');
    }
  });
});

describe('arcAuthRes (6 and 10.2)', () => {
  it('writes the status, remote-ip and oldest-pass', () => {
    const passing: ArcResult = { result: 'pass', sets: [], oldestPass: 2 };
    expect(arcAuthRes(passing, { remoteIp: '2001:db8::1' })).toEqual({
      method: 'arc',
      result: 'pass',
      properties: [
        { ptype: 'smtp', property: 'remote-ip', value: '2001:db8::1' },
        { ptype: 'header', property: 'oldest-pass', value: '2' },
      ],
    });
    expect(arcAuthRes({ result: 'none', sets: [] })).toEqual({ method: 'arc', result: 'none' });
    expect(arcAuthRes({ result: 'fail', reason: 'x', sets: [] })).toEqual({
      method: 'arc',
      result: 'fail',
      reason: 'x',
    });
  });
});
