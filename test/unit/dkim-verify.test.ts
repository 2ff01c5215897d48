/** DkimVerifier: each rule of RFC 6376, 8301, 8463 and 8616, by a signature that breaks it and is right otherwise. */
import {
  createHash,
  createPublicKey,
  sign as cryptoSign,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { DkimVerifier } from 'tsmilter/dkim';
import {
  dnsError,
  MAIL,
  NOW,
  publicEd25519,
  publicRsa,
  RSA_KEY,
  signed,
  type TestMail,
  verify,
  withFields,
  ZONE,
  type Zone,
  zoneResolver,
} from '../support/dkim.js';

const SECONDS = NOW / 1000;
const HEADERS = 'from:to:subject';
const BODY = 'hi\r\n';
const FIELDS = [
  ['From', 'a@example.com'],
  ['To', 'b@example.org'],
  ['Subject', 'x'],
] as const;

interface Made {
  readonly tags?: Readonly<Record<string, string | undefined>>;
  readonly key?: KeyObject;
  readonly hash?: string;
  readonly fields?: TestMail['headers'];
  readonly body?: string;
  /** Changes the text of the field before it is signed. */
  readonly text?: (text: string) => string;
}

/** A message with a signature that is made by hand, relaxed/relaxed unless the tags say otherwise. */
function made({
  tags = {},
  key = RSA_KEY,
  hash = 'sha256',
  fields = FIELDS,
  body = BODY,
  text = (t) => t,
}: Made): TestMail {
  const all: Record<string, string | undefined> = {
    v: '1',
    a: 'rsa-sha256',
    c: 'relaxed/relaxed',
    d: 'example.com',
    s: 'r',
    h: HEADERS,
    bh: createHash(hash).update(body).digest('base64'),
    ...tags,
  };
  const list = Object.entries(all)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  const value = text(`${list.join('; ')}; b=`);
  const left = fields.map(([name, content]) => [name.toLowerCase(), content] as const);
  const lines = (all.h ?? '')
    .toLowerCase()
    .split(':')
    .flatMap((name) => {
      const index = left.findLastIndex(([found]) => found === name.trim());
      const [found] = index < 0 ? [] : left.splice(index, 1);
      return found ? [`${found[0]}:${found[1].trim().replace(/\s+/g, ' ')}\r\n`] : [];
    });
  const input = Buffer.from(`${lines.join('')}dkim-signature:${value.replace(/\s+/g, ' ').trim()}`, 'utf8');
  const signature = cryptoSign(hash, input, key).toString('base64');
  return withFields({ headers: fields, body }, [['DKIM-Signature', value + signature]]);
}

const zone = (record: string | string[], name = 'r._domainkey.example.com'): Zone => ({
  [name]: [typeof record === 'string' ? [record] : record],
});

const first = async (...args: Parameters<typeof verify>) => (await verify(...args))[0];

describe('a valid signature', () => {
  it('passes, with what a report tells of it', async () => {
    expect(await verify(made({ tags: { i: 'user@sub.example.com' } }))).toEqual([
      {
        result: 'pass',
        domain: 'example.com',
        identity: 'user@sub.example.com',
        selector: 'r',
        algorithm: 'rsa-sha256',
        keyBits: 2048,
        signaturePrefix: expect.stringMatching(/^.{8}$/),
        signedHeaders: ['from', 'to', 'subject'],
      },
    ]);
  });

  it.each<[string, Made]>([
    [
      'with white space around tags and in base64 (3.2)',
      { text: (text) => text.replace(/; /g, ' ;\n\t ').replace('v=', ' v = ') },
    ],
    [
      'with a semicolon at the end (3.2)',
      { text: (text) => text.replace('v=1;', '').replace(/^ /, '').replace(/b=$/, 'v=1; b=') },
    ],
    ['with white space in h= (3.5)', { tags: { h: 'from : to :\n subject' } }],
    ['with names in h= that are not there (5.4)', { tags: { h: 'from:to:subject:cc:from:x' } }],
    ['with unknown tags (3.2)', { tags: { zz: 'whatever', x_1: '"quoted"' } }],
    ['with q=dns/txt among others (3.5)', { tags: { q: 'future : dns/txt' } }],
    ['with c= of one word, the body simple (3.5)', { tags: { c: 'relaxed' } }],
    ['with a copy of the header (z=, 3.5)', { tags: { z: 'From:a@example.com|Subject:x' } }],
    ['with i= a subdomain (3.5)', { tags: { i: '@mail.example.com' } }],
    ['with d= in upper case (3.5)', { tags: { d: 'EXAMPLE.com' } }],
    ['with t= now (3.5)', { tags: { t: String(SECONDS) } }],
    ['with x= ahead (3.5)', { tags: { t: String(SECONDS - 10), x: String(SECONDS + 10) } }],
    ['with x= just passed, for clocks differ (3.5)', { tags: { x: String(SECONDS - 200) } }],
  ])('passes %s', async (_title, how) => {
    expect(await first(made(how))).toMatchObject({ result: 'pass' });
  });

  it('with l= of 0 passes for any body, and its length is told (3.5)', async () => {
    const none = createHash('sha256').update('').digest('base64');
    const mail = made({ tags: { l: '0', bh: none } });
    expect(await first({ ...mail, body: 'anything\r\n' })).toMatchObject({ result: 'pass', length: 0 });
  });

  it('with l= passes where text was added below, and not where it is changed (3.5)', async () => {
    const mail = made({ tags: { l: '4' } });
    expect(await first({ ...mail, body: `${BODY}added\r\n` })).toMatchObject({ result: 'pass', length: 4 });
    expect(await first({ ...mail, body: `ho\r\nadded\r\n` })).toMatchObject({ result: 'fail' });
  });

  it('takes fields of one name from the bottom up (5.4.2)', async () => {
    const fields = [...FIELDS, ['To', 'c@example.org']] as const;
    const mail = made({ fields, tags: { h: 'from:to' } });
    expect(await first(mail)).toMatchObject({ result: 'pass' });
    const [signature] = mail.headers;
    const changed = (at: number) =>
      fields.map(([n, v], index) => [n, index === at ? 'evil@example.org' : v] as const);
    expect(await first(withFields({ headers: changed(1), body: BODY }, [signature as never]))).toMatchObject({
      result: 'pass',
    });
    expect(await first(withFields({ headers: changed(3), body: BODY }, [signature as never]))).toMatchObject({
      result: 'fail',
    });
  });

  it('fails where an oversigned field is added (5.4)', async () => {
    const mail = made({ tags: { h: 'from:from:to:subject' } });
    expect(await first(mail)).toMatchObject({ result: 'pass' });
    expect(await first(withFields(mail, [['From', 'evil@example.com']]))).toMatchObject({ result: 'fail' });
  });
});

describe('the identity', () => {
  it.each<[string, string, string]>([
    ['its octets decoded (2.11)', 'a=3Db=40mail=2Eexample.com', 'a=b@mail.example.com'],
    [
      'white space that is not part of it left out (2.11)',
      'ann\n\t @mail.\n example.com',
      'ann@mail.example.com',
    ],
    [
      'its domain in lower case and with A-labels (RFC 8616 3)',
      'A@b\u00fccher.Example.com',
      'A@xn--bcher-kva.example.com',
    ],
    ['encoded white space kept (2.11)', '"a=20=20b"@example.com', '"a  b"@example.com'],
    ['what is no encoded octet as it is', 'a=4b=@example.com', 'a=4b=@example.com'],
    ['control characters still encoded', 'a=0D=0Ab=00=7F@example.com', 'a=0D=0Ab=00=7F@example.com'],
    [
      'UTF-8 as text, plain and encoded (RFC 8616 3)',
      'j\u00fcrg=C3=BC@example.com',
      'j\u00fcrg\u00fc@example.com',
    ],
  ])('has %s', async (_title, i, identity) => {
    expect(await first(made({ tags: { i } }))).toMatchObject({ result: 'pass', identity });
  });
});

it('tells of an invalid signature in text without folds', async () => {
  const mail = made({ tags: { a: 'rsa-\u00fc', d: 'exa\n\tmple.com', s: 's\r\n s' } });
  expect(await first(mail)).toMatchObject({
    result: 'permerror',
    algorithm: 'rsa-\u00fc',
    domain: 'exa mple.com',
    selector: 's s',
    identity: '@exa mple.com',
  });
});

describe('a signature that is none', () => {
  it.each<[string, Made, RegExp]>([
    ['without v= (6.1.1)', { tags: { v: undefined } }, /v= is missing/],
    ['of version 2 (6.1.1)', { tags: { v: '2' } }, /v= is not 1/],
    ['without a= (6.1.1)', { tags: { a: undefined } }, /a= is missing/],
    ['of an unknown algorithm (6.1.1)', { tags: { a: 'rsa-sha512' } }, /a= is an unknown/],
    ['of SHA-1 (RFC 8301 3.1)', { tags: { a: 'rsa-sha1' } }, /rsa-sha1 must not be used/],
    ['without d= (6.1.1)', { tags: { d: undefined } }, /d= is missing/],
    ['with an empty d=', { tags: { d: '' } }, /d= is missing or empty/],
    ['with a d= that is no domain', { tags: { d: 'exa mple.com' } }, /d= is not a domain name/],
    ['without s= (6.1.1)', { tags: { s: undefined } }, /s= is missing/],
    ['with an s= that is none', { tags: { s: '.r' } }, /s= is not a selector/],
    ['without h= (6.1.1)', { tags: { h: undefined } }, /h= is missing/],
    ['with an h= without From (5.4)', { tags: { h: 'to:subject' } }, /does not contain From/],
    ['with an h= that ends with a colon (3.5)', { tags: { h: 'from:to:' } }, /not a header name/],
    ['without bh= (6.1.1)', { tags: { bh: undefined } }, /bh= is missing/],
    ['with a bh= that is not base64', { tags: { bh: 'a*b' } }, /bh= is not base64/],
    ['with a bh= of another hash', { tags: { bh: 'c2hvcnQ=' } }, /bh= has not the length/],
    ['with an unknown c= (6.1.1)', { tags: { c: 'nofws' } }, /c= is an unknown/],
    ['with a c= of three words', { tags: { c: 'relaxed/relaxed/simple' } }, /c= is an unknown/],
    ['with q= of something else (6.1.1)', { tags: { q: 'dns/future' } }, /q= has no dns/],
    ['with i= of another domain (6.1.1)', { tags: { i: '@example.org' } }, /i= is not within d=/],
    [
      'with i= of another domain, encoded (2.11)',
      { tags: { i: 'a@example.com=40example.org' } },
      /i= is not within/,
    ],
    ['with i= of a domain that ends alike', { tags: { i: '@badexample.com' } }, /i= is not within d=/],
    ['with i= without an @', { tags: { i: 'example.com' } }, /i= is not within d=/],
    ['with an l= that is no number (3.5)', { tags: { l: '-1' } }, /l= is not a number/],
    ['with an l= larger than the body (3.5)', { tags: { l: '999' } }, /l= is larger than the body/],
    ['with a t= that is no number (3.5)', { tags: { t: 'now' } }, /t= is not a time/],
    ['with x= before t= (3.5)', { tags: { t: '2000000000', x: '1999999999' } }, /x= is not after t=/],
    ['with x= equal to t= (3.5)', { tags: { t: '2000000000', x: '2000000000' } }, /x= is not after t=/],
    ['with a tag twice (3.2)', { text: (text) => text.replace('d=', 's=r; d=') }, /a tag is there twice/],
    [
      'with an empty tag in the middle (3.2)',
      { text: (text) => text.replace('; d=', ';; d=') },
      /not a tag list/,
    ],
    [
      'with a tag without a value sign (3.2)',
      { text: (text) => text.replace('; d=', '; flag; d=') },
      /not a tag list/,
    ],
    ['with a control character', { text: (text) => text.replace('; d=', '\x01; d=') }, /not a tag list/],
    [
      'with a tag named __proto__',
      { text: (text) => text.replace('; d=', '; __proto__=x; d=') },
      /not a tag list/,
    ],
  ])('is permerror %s', async (_title, how, reason) => {
    expect(await first(made(how))).toMatchObject({
      result: 'permerror',
      reason: expect.stringMatching(reason),
    });
    expect(Object.prototype).not.toHaveProperty('x');
  });

  it.each<[string, Made, RegExp]>([
    ['expired (6.1.1)', { tags: { x: String(SECONDS - 301) } }, /has expired/],
    ['of the future (3.5)', { tags: { t: String(SECONDS + 301) } }, /made in the future/],
  ])('fails when it is %s', async (_title, how, reason) => {
    expect(await first(made(how))).toMatchObject({ result: 'fail', reason: expect.stringMatching(reason) });
  });

  it('fails for another body, another header and another key', async () => {
    const mail = made({});
    expect(await first({ ...mail, body: 'ho\r\n' })).toMatchObject({
      result: 'fail',
      reason: expect.stringContaining('body'),
    });
    const other = mail.headers.map(([name, value]) => [name, name === 'Subject' ? 'y' : value] as const);
    expect(await first({ ...mail, headers: other })).toMatchObject({ result: 'fail' });
    const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    expect(await first(mail, zone(`v=DKIM1; p=${publicRsa(key)}`))).toMatchObject({ result: 'fail' });
  });

  it('fails for a b= of a wrong length', async () => {
    const mail = made({});
    const cut = mail.headers.map(
      ([name, value]) => [name, name === 'DKIM-Signature' ? value.slice(0, -8) : value] as const,
    );
    expect(await first({ ...mail, headers: cut })).toMatchObject({ result: 'fail' });
  });
});

describe('a key record', () => {
  const p = publicRsa();

  it.each<[string, string | string[]]>([
    ['of nothing but p= (3.6.1)', `p=${p}`],
    ['in several strings (3.6.2.2)', ['v=DKIM1; k=r', `sa; p=${p.slice(0, 90)}`, p.slice(90)]],
    ['with white space in p= (3.6.1)', `v=DKIM1; p= ${p.slice(0, 50)} ${p.slice(50)} ;`],
    ['with h= of several hashes (3.6.1)', `v=DKIM1; h=sha1 : sha256; p=${p}`],
    ['with s= of any service (3.6.1)', `v=DKIM1; s=*; p=${p}`],
    ['with s= of mail among others (3.6.1)', `v=DKIM1; s=tlsrpt:email; p=${p}`],
    ['with unknown flags and tags (3.6.1)', `v=DKIM1; t=z; n=a note; zz=1; p=${p}`],
    ['with a bare RSAPublicKey', `p=${publicPkcs1()}`],
  ])('is taken %s', async (_title, record) => {
    expect(await first(made({}), zone(record))).toMatchObject({ result: 'pass', keyBits: 2048 });
  });

  it('of a domain that tests passes, and says so (t=y, 3.6.1)', async () => {
    expect(await first(made({}), zone(`v=DKIM1; t=y:s; p=${p}`))).toMatchObject({
      result: 'pass',
      testing: true,
    });
  });

  it.each<[string, string, RegExp]>([
    ['without p= (3.6.1)', 'v=DKIM1', /no p=/],
    ['with an empty p= (3.6.1)', 'v=DKIM1; p=', /revoked/],
    ['with a p= that is not base64', 'v=DKIM1; p=a*', /not base64/],
    ['with a p= that is no key', 'v=DKIM1; p=aGVsbG8=', /not an RSA key/],
    ['with v= behind another tag (3.6.1)', `k=rsa; v=DKIM1; p=${p}`, /does not begin with v=DKIM1/],
    ['of another version (3.6.1)', `v=DKIM2; p=${p}`, /does not begin with v=DKIM1/],
    ['of an unknown type (3.6.1)', `v=DKIM1; k=dsa; p=${p}`, /unknown k=/],
    ['of the other algorithm', `v=DKIM1; k=ed25519; p=${publicEd25519()}`, /not of the algorithm/],
    ['of Ed25519 and the wrong length', 'v=DKIM1; k=ed25519; p=c2hvcnQ=', /not an Ed25519 key/],
    ['for SHA-1 alone (3.6.1)', `v=DKIM1; h=sha1; p=${p}`, /does not allow SHA-256/],
    ['for another service (3.6.1)', `v=DKIM1; s=tlsrpt; p=${p}`, /not for mail/],
    ['with a tag twice (3.2)', `v=DKIM1; p=${p}; p=${p}`, /tag twice/],
    ['that is no tag list', 'hello', /not a tag list/],
  ])('is refused %s', async (_title, record, reason) => {
    expect(await first(made({}), zone(record))).toMatchObject({
      result: 'permerror',
      reason: expect.stringMatching(reason),
    });
  });

  it('for the domain alone refuses i= of a subdomain (t=s, 3.6.1)', async () => {
    const strict = zone(`v=DKIM1; t=s; p=${p}`);
    expect(await first(made({ tags: { i: '@example.com' } }), strict)).toMatchObject({ result: 'pass' });
    expect(await first(made({ tags: { i: '@a.example.com' } }), strict)).toMatchObject({
      result: 'permerror',
    });
  });

  it('of RSA must have 1,024 to 8,192 bits (RFC 8301 3.2)', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 768 });
    const weak = zone(`v=DKIM1; p=${publicRsa(publicKey)}`);
    expect(await first(made({ key: privateKey }), weak)).toMatchObject({ result: 'policy', keyBits: 768 });
    expect(await first(made({ key: privateKey }), weak, { minRsaBits: 512 })).toMatchObject({
      result: 'pass',
    });
    expect(await first(made({}), ZONE, { maxRsaBits: 1024 })).toMatchObject({
      result: 'policy',
      keyBits: 2048,
    });
  });

  it('that is one of several is found (6.1.2)', async () => {
    const other = publicRsa(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey);
    const several = { 'r._domainkey.example.com': [['junk'], [`p=${other}`], [`p=${p}`]] };
    expect(await first(made({}), several)).toMatchObject({ result: 'pass' });
  });

  it.each([
    ['ENOTFOUND', 'permerror'],
    ['ENODATA', 'permerror'],
    ['ETIMEOUT', 'temperror'],
    ['ESERVFAIL', 'temperror'],
    ['EREFUSED', 'temperror'],
    ['ERR_MILTER_DNS_LIMIT', 'temperror'],
  ])('for which DNS says %s is a %s (6.1.2)', async (code, result) => {
    expect(await first(made({}), { 'r._domainkey.example.com': dnsError(code) })).toMatchObject({ result });
  });

  it('for which a session has no question left is a temperror, as a sender could use up those of another domain', async () => {
    const limit = Object.assign(dnsError('ERR_MILTER_DNS_LIMIT'), { temporary: false });
    expect(await first(made({}), { 'r._domainkey.example.com': limit })).toMatchObject({
      result: 'temperror',
    });
  });
});

describe('limits', () => {
  const signature = made({}).headers[0] as [string, string];

  it('10 signatures are verified, the others are policy', async () => {
    const results = await verify(withFields(made({}), Array(11).fill(signature)));
    expect(results.map(({ result }) => result)).toEqual([...Array(10).fill('pass'), 'policy', 'policy']);
  });

  it('400 signatures of different lengths cost 4 hashes and one question', async () => {
    const resolver = zoneResolver(ZONE);
    const verifier = new DkimVerifier({ resolver, now: () => NOW, maxSignatures: 400 });
    for (let nth = 0; nth < 400; nth++)
      verifier.header(...(made({ tags: { l: String(nth) } }).headers[0] as [string, string]));
    for (const [name, value] of FIELDS) verifier.header(name, value);
    verifier.eoh();
    verifier.body(Buffer.from('hi\r\n'));
    const results = await verifier.eom();
    expect(results.filter(({ result }) => result === 'policy')).toHaveLength(396);
    expect(resolver.asked).toEqual(['r._domainkey.example.com']);
  });

  it('a header of more than 262,144 octets is not verified', async () => {
    const large = Array.from({ length: 5 }, () => ['X', 'x'.repeat(60_000)] as const);
    expect(await first({ ...made({}), headers: [signature, ...FIELDS, ...large] })).toMatchObject({
      result: 'policy',
    });
  });

  it('a key record of more than 4,096 characters is refused', async () => {
    const long = zone(`v=DKIM1; n=${'x'.repeat(4096)}; p=${publicRsa()}`);
    expect(await first(made({}), long)).toMatchObject({
      result: 'permerror',
      reason: expect.stringContaining('maxKeyRecord'),
    });
  });

  it('an unknown option is an error', () => {
    expect(() => new DkimVerifier({ resolver: zoneResolver({}), maxSignature: 1 } as never)).toThrow(
      /did you mean maxSignatures/,
    );
  });
});

describe('a message', () => {
  it('without a signature has no result', async () => {
    expect(await verify(MAIL)).toEqual([]);
  });

  it('is verified whatever its chunks are', async () => {
    const mail = await signed(MAIL);
    const verifier = new DkimVerifier({ resolver: zoneResolver(ZONE), now: () => NOW });
    for (const [name, value] of mail.headers) verifier.header(name, value);
    verifier.eoh();
    for (const byte of Buffer.from(mail.body as string, 'latin1')) verifier.body(Buffer.of(byte));
    expect(await verifier.eom()).toMatchObject([{ result: 'pass' }]);
  });

  it('asks for its keys before its body comes', () => {
    const resolver = zoneResolver(ZONE);
    const verifier = new DkimVerifier({ resolver, now: () => NOW });
    for (const [name, value] of made({}).headers) verifier.header(name, value);
    verifier.eoh();
    expect(resolver.asked).toEqual(['r._domainkey.example.com']);
  });

  it('of an internationalised domain is looked up by its A-labels (RFC 8616)', async () => {
    const idn = made({
      tags: { d: 'b\u00fccher.example' },
      fields: [['From', 'a@b\u00fccher.example'], ...FIELDS.slice(1)],
    });
    const record = zone(`p=${publicRsa()}`, 'r._domainkey.xn--bcher-kva.example');
    expect(await first(idn, record)).toMatchObject({ result: 'pass', domain: 'xn--bcher-kva.example' });
  });
});

/** The key without the algorithm that names it, as some domains publish it. */
function publicPkcs1(): string {
  return createPublicKey(RSA_KEY).export({ format: 'der', type: 'pkcs1' }).toString('base64');
}
