/** DkimSigner: what it signs, how it is written, and that it verifies. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { DkimSigner, type DkimSignerOptions } from 'tsmilter/dkim';
import { ED25519_KEY, MAIL, RSA_KEY, sign, signed, verify, withFields } from '../support/dkim.js';
import { randomNumbers } from '../support/random.js';

const RSA = { domain: 'example.com', selector: 'r', key: RSA_KEY };
const ED25519 = { domain: 'example.com', selector: 'e', key: ED25519_KEY };
const CANONICALIZATIONS = ['simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed'] as const;

const tagsOf = (value: string) =>
  new Map(
    value
      .replace(/\n\t/g, '')
      .split(/; ?/)
      .map((tag) => [tag.slice(0, tag.indexOf('=')), tag.slice(tag.indexOf('=') + 1)]),
  );

describe('a signed message', () => {
  it.each(CANONICALIZATIONS)('verifies with RSA and Ed25519 together, %s', async (canonicalization) => {
    const results = await verify(await signed(MAIL, { keys: [RSA, ED25519], canonicalization }));
    expect(results).toMatchObject([
      { result: 'pass', algorithm: 'rsa-sha256', keyBits: 2048 },
      { result: 'pass', algorithm: 'ed25519-sha256', keyBits: 256 },
    ]);
  });

  it.each([
    ['an empty body', ''],
    ['8-bit bytes', Buffer.from('gr\xfc\xdfe \xff\r\n', 'latin1')],
    ['no line end at the end', 'text'],
    ['only empty lines', '\r\n\r\n'],
    ['bare CR and LF', 'a\rb\nc\r\r\n'],
  ])('verifies with %s', async (_title, body) => {
    for (const canonicalization of CANONICALIZATIONS) {
      const mail = { ...MAIL, body };
      expect(await verify(await signed(mail, { canonicalization }))).toMatchObject([{ result: 'pass' }]);
    }
  });

  it('verifies with the space behind the colon as well', async () => {
    const spaced = { ...MAIL, headers: MAIL.headers.map(([name, value]) => [name, ` ${value}`] as const) };
    const mail = await signed(spaced, { leadingSpace: true, canonicalization: 'simple/simple' });
    expect(mail.headers[0]?.[1]).toMatch(/^ v=1/);
    expect(await verify(mail, undefined, { leadingSpace: true })).toMatchObject([{ result: 'pass' }]);
  });

  it('verifies for 300 random headers and bodies', async () => {
    const random = randomNumbers(5);
    const pieces = ['\n ', ' ', '\t', 'word', ':', ';', '=', '\u00e9', '\udcff', 'b='];
    const text = () => Array.from({ length: random(12) }, () => pieces[random(pieces.length)]).join('');
    for (let nth = 0; nth < 300; nth++) {
      const names = ['Subject', 'To', 'Cc', 'X-Any', 'Received', 'DKIM-Signature', 'List-Id'];
      const headers = Array.from(
        { length: random(9) },
        () => [names[random(names.length)] as string, text()] as const,
      );
      const body = Array.from({ length: random(9) }, () => ['a', ' ', '\r\n', '\t', 'bc'][random(5)]).join(
        '',
      );
      const mail = { headers: [['From', `a@example.com${text()}`] as const, ...headers], body };
      const canonicalization = CANONICALIZATIONS[random(4)] as (typeof CANONICALIZATIONS)[number];
      const [result] = await verify(await signed(mail, { canonicalization, keys: [ED25519] }), undefined, {
        maxSignatures: 1,
      });
      expect({ mail, canonicalization, result: result?.result }).toMatchObject({ result: 'pass' });
    }
  });
});

describe('a signature', () => {
  it('is folded into lines of at most 78 characters, that begin with a tab', async () => {
    const [field] = await sign(MAIL);
    const lines = `DKIM-Signature: ${field?.[1]}`.split('\n');
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(78);
    for (const line of lines.slice(1)) expect(line).toMatch(/^\t\S/);
    for (const line of lines) expect(line).not.toMatch(/\s$/);
  });

  it('signs the usual fields as often as they are there, and From once more', async () => {
    const mail = withFields(MAIL, [
      ['To', 'c@example.org'],
      ['X-Private', 'x'],
    ]);
    const [[, value] = ['', '']] = await sign(mail);
    expect(tagsOf(value).get('h')).toBe('from:from:subject:date:message-id:to:to');
  });

  it('signs the fields that are asked for, and oversigns others', async () => {
    const [[, value] = ['', '']] = await sign(MAIL, {
      headers: ['Subject', 'Cc'],
      oversign: ['From', 'Cc', 'Subject'],
    });
    expect(tagsOf(value).get('h')).toBe('from:from:subject:subject:cc');
  });

  it('has the tags that are asked for', async () => {
    const [[, value] = ['', '']] = await sign(MAIL, {
      identity: 'alice@example.com',
      expiresIn: 60,
      bodyLength: true,
    });
    const tags = tagsOf(value);
    expect([...tags.keys()]).toEqual(['v', 'a', 'c', 'd', 's', 'i', 't', 'x', 'l', 'h', 'bh', 'b']);
    expect(Number(tags.get('x')) - Number(tags.get('t'))).toBe(60);
    expect(tags.get('l')).toBe('25');
    expect((await sign(MAIL)).map(([, plain]) => tagsOf(plain).has('l'))).toEqual([false]);
  });
});

it('writes the identity in DKIM-Quoted-Printable (RFC 6376 2.11)', async () => {
  const identity = 'prvs=AB12=ann@example.com';
  const mail = await signed(MAIL, { identity });
  expect(mail.headers[0]?.[1]).toContain('i=prvs=3DAB12=3Dann@example.com;');
  expect(await verify(mail)).toMatchObject([{ result: 'pass', identity }]);
});

describe('keys', () => {
  const pkcs1 = RSA_KEY.export({ format: 'pem', type: 'pkcs1' }).toString();
  const pkcs8 = RSA_KEY.export({ format: 'pem', type: 'pkcs8' }).toString();
  const der = ED25519_KEY.export({ format: 'der', type: 'pkcs8' });

  it.each([
    ['PEM, PKCS#1', 'r', pkcs1],
    ['PEM, PKCS#8', 'r', pkcs8],
    ['base64 of PKCS#8', 'r', RSA_KEY.export({ format: 'der', type: 'pkcs8' }).toString('base64')],
    ['DER of PKCS#1', 'r', RSA_KEY.export({ format: 'der', type: 'pkcs1' })],
    ['PEM of Ed25519', 'e', ED25519_KEY.export({ format: 'pem', type: 'pkcs8' }).toString()],
    ['base64 of an Ed25519 seed', 'e', der.subarray(-32).toString('base64')],
  ])('are read from %s', async (_title, selector, key) => {
    const mail = await signed(MAIL, { keys: [{ domain: 'example.com', selector, key }] });
    expect(await verify(mail)).toMatchObject([{ result: 'pass' }]);
  });

  it.each([
    ['a text that is no key', 'secret', /neither PEM/],
    ['broken PEM', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', /neither PEM/],
    ['a short RSA key', generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey, /at least 1024 bits/],
    ['an elliptic key', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, /use RSA or Ed25519/],
    ['a public key', generateKeyPairSync('ed25519').publicKey, /not a private key/],
  ])('cannot be %s', (_title, key, message) => {
    const make = () => new DkimSigner({ keys: [{ domain: 'example.com', selector: 's', key }] });
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_MILTER_BAD_KEY' }));
    if (typeof key === 'string') expect(make).not.toThrow(key.slice(0, 30));
  });
});

describe('options', () => {
  it.each<[Partial<DkimSignerOptions>, RegExp]>([
    [{ keys: [] }, /at least one key/],
    [{ keys: [{ ...RSA, domain: 'a b' }] }, /not a domain name/],
    [{ keys: [{ ...RSA, selector: 'a;b' }] }, /not a selector/],
    [{ headers: ['a:b'] }, /not a header's name/],
    [{ oversign: [''] }, /not a header's name/],
    [{ identity: '@example.org' }, /identity must be/],
    [{ identity: 'a;b@example.com' }, /identity must be/],
    [{ canonicalization: 'nofws' as 'simple/simple' }, /canonicalization must be/],
    [{ expiresIn: 0 }, /expiresIn must be a whole number/],
    [{ overSign: ['to'] } as Partial<DkimSignerOptions>, /did you mean oversign/],
  ])('%#', (options, message) => {
    const make = () => new DkimSigner({ keys: [RSA], ...options });
    expect(make).toThrow(message);
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });

  it('a message without From is not signed', async () => {
    await expect(sign({ headers: [['To', 'b@example.org']], body: '' })).rejects.toThrow(/without From/);
  });
});
