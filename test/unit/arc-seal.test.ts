/** ArcSealer: RFC 8617 5.1, and what its chains look like to a verifier. */
import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type ArcResult, ArcSealer, type ArcSealerOptions, type ArcSealing } from 'tsmilter/arc';
import type { AuthRes } from 'tsmilter/authres';
import { addSet, chained, relaxedHeader, verifyArc } from '../support/arc.js';
import {
  dnsError,
  ED25519_KEY,
  MAIL,
  NOW,
  RSA_KEY,
  signed,
  type TestMail,
  verify as verifyDkim,
  withFields,
} from '../support/dkim.js';

const AUTHRES: AuthRes = {
  id: 'mx.example.org',
  results: [
    {
      method: 'spf',
      result: 'pass',
      properties: [{ ptype: 'smtp', property: 'mailfrom', value: 'a@example.com' }],
    },
  ],
};
const KEY = { domain: 'example.com', selector: 'r', key: RSA_KEY };

async function sealing(
  mail: TestMail,
  arc?: ArcResult,
  options: Partial<ArcSealerOptions> = {},
  authRes = AUTHRES,
): Promise<ArcSealing> {
  const sealer = new ArcSealer({ key: KEY, now: () => NOW, ...options });
  for (const [name, value] of mail.headers) sealer.header(name, value);
  sealer.eoh();
  sealer.body(Buffer.from(mail.body));
  return await sealer.eom({ arc: arc ?? (await verifyArc(mail)), authRes });
}

async function seal(
  mail: TestMail,
  ...rest: [ArcResult?, Partial<ArcSealerOptions>?, AuthRes?]
): Promise<TestMail> {
  const { fields } = await sealing(mail, ...rest);
  return withFields(mail, [...fields].reverse());
}

describe('a set', () => {
  it('has the three fields, to be added at the top in this order, with one instance (4.2)', async () => {
    const { fields, instance, chainStatus, reason } = await sealing(MAIL);
    expect(fields.map(([name]) => name)).toEqual([
      'ARC-Authentication-Results',
      'ARC-Message-Signature',
      'ARC-Seal',
    ]);
    expect({ instance, chainStatus, reason }).toEqual({
      instance: 1,
      chainStatus: 'none',
      reason: undefined,
    });
    const [results, signature, seal] = fields.map(([, value]) => value.replace(/\s+/g, ' '));
    expect(results).toBe('i=1; mx.example.org; spf=pass smtp.mailfrom=a@example.com; arc=none');
    const seconds = NOW / 1000;
    expect(signature).toMatch(
      new RegExp(
        `^i=1; a=rsa-sha256; d=example.com; s=r; t=${seconds}; c=relaxed/relaxed; h=from: ?from: ?.*; bh=.*; b=.*$`,
      ),
    );
    expect(seal).toMatch(
      new RegExp(`^i=1; a=rsa-sha256; d=example.com; s=r; t=${seconds}; cv=none; b=[^;]+$`),
    );
  });

  it('is folded with LF, in lines of at most 78 characters', async () => {
    for (const [name, value] of (await sealing(await signed())).fields) {
      expect(value).not.toContain('\r');
      for (const line of `${name}: ${value}`.split('\n')) expect(line.length).toBeLessThanOrEqual(78);
    }
  });

  it('does not sign Authentication-Results nor fields of ARC, and signs DKIM-Signature (4.1.2)', async () => {
    const mail = withFields(await seal(await signed()), [['Authentication-Results', 'mx; none']]);
    const [, signature] = (await sealing(mail)).fields;
    const names =
      /h=([^;]*)/
        .exec(signature?.[1] ?? '')?.[1]
        ?.replace(/\s/g, '')
        .split(':') ?? [];
    expect(names).toContain('dkim-signature');
    expect(names.filter((name) => name.startsWith('arc-') || name.startsWith('auth'))).toEqual([]);
  });

  it('has all results, and keeps an arc= that is there', async () => {
    const authRes: AuthRes = {
      id: 'mx',
      results: [
        { method: 'arc', result: 'none' },
        { method: 'dkim', result: 'none' },
      ],
    };
    const [results] = (await sealing(MAIL, undefined, {}, authRes)).fields;
    expect(results?.[1].replace(/\s+/g, ' ')).toBe('i=1; mx; arc=none; dkim=none');
  });

  it('does not let a hostile value out of its place', async () => {
    const value = 'x"\r\nARC-Seal: i=1; cv=none\r\n\r\n; dmarc=pass';
    const properties = [{ ptype: 'smtp', property: 'mailfrom', value }];
    const mail = await seal(
      MAIL,
      undefined,
      {},
      { id: 'mx', results: [{ method: 'spf', result: 'fail', properties }] },
    );
    const { result, sets } = await verifyArc(mail);
    expect(result).toBe('pass');
    expect(sets[0]?.authRes?.results.map(({ method }) => method)).toEqual(['spf', 'arc']);
  });
});

describe('chains', () => {
  it('verify, one set after another, by RSA and Ed25519', async () => {
    let mail = await signed();
    for (let instance = 1; instance <= 4; instance++) {
      const key = instance % 2 ? KEY : { domain: 'example.com', selector: 'e', key: ED25519_KEY };
      mail = await seal(mail, undefined, { key });
      const result = await verifyArc(mail);
      expect(result).toMatchObject({ result: 'pass', oldestPass: 0 });
      expect(result.sets.length).toBe(instance);
    }
    expect((await verifyDkim(mail)).map(({ result }) => result)).toEqual(['pass']);
  });

  it('go on behind sets of others, with cv=pass (5.1)', async () => {
    const mail = await seal(chained(2));
    expect(await verifyArc(mail)).toMatchObject({
      result: 'pass',
      sets: [{}, {}, { instance: 3, chainStatus: 'pass' }],
    });
  });

  it('verify with the values as an MTA with SMFIP_HDR_LEADSPC takes them', async () => {
    const { fields } = await sealing(MAIL, undefined, { leadingSpace: true });
    for (const [, value] of fields) expect(value).toMatch(/^ i=1;/);
  });

  it('verify with UTF-8 in the results (4.1.4)', async () => {
    const authRes: AuthRes = {
      id: 'mx',
      results: [
        {
          method: 'spf',
          result: 'pass',
          properties: [{ ptype: 'smtp', property: 'mailfrom', value: 'ü@bücher.example' }],
        },
      ],
    };
    const mail = await seal(MAIL, undefined, { utf8: true }, authRes);
    expect(mail.headers.map(([, value]) => value).join()).toContain('ü@bücher.example');
    expect((await verifyArc(mail)).result).toBe('pass');
  });

  it('end at 50 sets (4.2.1)', async () => {
    const result = await sealing(chained(50));
    expect(result).toEqual({ fields: [], reason: 'the message has 50 sets already' });
  });
});

describe('a chain that fails (5.1.2, 5.1.3)', () => {
  const broken = (): TestMail => ({ ...chained(2), body: 'changed\r\n' });

  it('is sealed once, as failed, over the new set alone', async () => {
    const { fields, instance, chainStatus } = await sealing(broken());
    expect({ instance, chainStatus }).toEqual({ instance: 3, chainStatus: 'fail' });
    const [results, signature, seal] = fields as [
      readonly [string, string],
      readonly [string, string],
      readonly [string, string],
    ];
    const [head = '', b = ''] = seal[1].split('; b=');
    const text = [
      relaxedHeader(results),
      relaxedHeader(signature),
      `${relaxedHeader([seal[0], head])}; b=`,
    ].join('\r\n');
    expect(
      verify(
        'sha256',
        Buffer.from(text),
        createPublicKey(RSA_KEY),
        Buffer.from(b.replace(/\s/g, ''), 'base64'),
      ),
    ).toBe(true);
  });

  it('stays failed: nothing more is added', async () => {
    const mail = await seal(broken());
    expect((await verifyArc(mail)).result).toBe('fail');
    expect(await sealing(mail)).toEqual({ fields: [], reason: 'the chain is sealed as failed already' });
  });

  it.each<[string, TestMail, number]>([
    ['has a gap', addSet(MAIL, 7), 8],
    ['lacks a seal', addSet(MAIL, 1, { without: ['seal'] }), 2],
    ['has instances that are none', withFields(MAIL, [['ARC-Seal', 'i=99; cv=none']]), 1],
  ])('is sealed behind the highest instance if it %s', async (_title, mail, instance) => {
    expect(await sealing(mail)).toMatchObject({ instance, chainStatus: 'fail' });
  });
});

describe('what is refused', () => {
  it('a temperror is not sealed, for a seal could only say that the chain has failed for good', async () => {
    const mail = chained(1);
    const arc = await verifyArc(mail, { 'r._domainkey.example.com': dnsError('ETIMEOUT') });
    expect(arc.result).toBe('temperror');
    expect(await sealing(mail, arc)).toEqual({
      fields: [],
      reason: expect.stringMatching(/^the chain cannot be verified at present: .*ETIMEOUT/),
    });
  });

  const refused = expect.objectContaining({ code: 'ERR_MILTER_BAD_ARGUMENT' });

  it('the result of another message', async () => {
    await expect(sealing(MAIL, await verifyArc(chained(1)))).rejects.toEqual(refused);
    await expect(sealing(chained(1), await verifyArc(MAIL))).rejects.toEqual(refused);
    await expect(sealing(chained(2), await verifyArc(chained(1)))).rejects.toEqual(refused);
  });

  it('a message without From', async () => {
    await expect(sealing({ headers: [], body: '' })).rejects.toEqual(refused);
  });

  it.each([
    { headers: ['Authentication-Results'] },
    { headers: ['arc-seal'] },
    { oversign: ['ARC-Message-Signature'] },
    { headers: ['a:b'] },
    { key: { ...KEY, domain: 'not a domain' } },
    { key: { ...KEY, selector: '' } },
    { keys: [] } as never,
  ])('bad options: %j', (options) => {
    expect(() => new ArcSealer({ key: KEY, ...options })).toThrow(refused);
  });

  it('a key that cannot sign', () => {
    expect(() => new ArcSealer({ key: { ...KEY, key: 'nonsense' } })).toThrow(
      expect.objectContaining({ code: 'ERR_MILTER_BAD_KEY' }),
    );
  });
});
