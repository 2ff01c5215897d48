/** `tsmilter/utils`: signed addresses. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type Signatures, unsign } from '#lib/utils/index.js';
import { errorWith, expectThat } from '../support/expect';

const DAY_MS = 86_400_000;

/** @contract 32 */
describe('unsign', () => {
  const addresses = [
    'user@example.com',
    '<user@example.com>',
    '',
    '<>',
    'prvs=0123abcdef=user@example.com',
    'SRS0=TwcN=JN=Example.org=User@forwarder.example',
    'SES=x@y',
  ];
  it('is the identity unless signatures are configured', () => {
    for (const address of addresses) {
      expect(unsign(address)).toBe(address);
      expect(unsign(address, {})).toBe(address);
    }
  });

  it('rejects invalid keys and numbers of days', () => {
    for (const signatures of [
      { batv: '' },
      { batv: { 1: '' } },
      { srs: '' },
      { srs: ['good', ''] },
      { srs: [1] },
      { srs: 's', maxAge: -1 },
      { srs: 's', maxAge: 1024 },
      { srs: 's', maxAge: Number.NaN },
    ]) {
      expect(() => unsign('a@b', signatures as Signatures)).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    }
  });
});

describe('SRS', () => {
  // made by Perl's Mail::SRS 0.31 with the secret 'shh', hash length 4, at this time
  const AT = 1_795_480_966_000;
  const SRS0 = 'SRS0=TwcN=JN=Example.org=User@forwarder.example';
  const SRS1 = 'SRS1=39Wd=forwarder.example==TwcN=JN=Example.org=User@second.example';
  const at = (days: number): Signatures => ({ srs: 'shh', now: () => AT + days * DAY_MS });

  it("turns SRS0 into the sender, and SRS1 into the previous forwarder's SRS0 address", () => {
    expect(unsign(SRS0, at(0))).toBe('User@Example.org');
    expect(unsign(SRS1, at(0))).toBe('SRS0=TwcN=JN=Example.org=User@forwarder.example');
    expect(unsign(`<${SRS0}>`, at(0))).toBe('<User@Example.org>');
  });

  it('ignores letter case, which MTAs change', () => {
    expect(unsign(SRS0.toLowerCase(), at(0))).toBe('user@example.org');
  });

  it('accepts + and - as the first separator, as SRS does', () => {
    expect(unsign(SRS0.replace('=', '+'), at(0))).toBe('User@Example.org');
    expect(unsign(SRS0.replace('=', '-'), at(0))).toBe('User@Example.org');
  });

  it('accepts a signature by any of several secrets', () => {
    expect(unsign(SRS0, { ...at(0), srs: ['new', 'shh'] })).toBe('User@Example.org');
    expect(unsign(SRS0, { ...at(0), srs: ['new', 'newer'] })).toBe(SRS0);
  });

  it('is valid for maxAge days, 21 by default', () => {
    expect(unsign(SRS0, at(21))).toBe('User@Example.org');
    expect(unsign(SRS0, at(22))).toBe(SRS0);
    expect(unsign(SRS0, { ...at(22), maxAge: 30 })).toBe('User@Example.org');
    expectThat(unsign(SRS0, at(-1)), 'from the future').toBe(SRS0);
  });

  it('is returned unchanged if it is forged or invalid', () => {
    for (const address of [
      SRS0.replace('TwcN', 'TwcO'),
      SRS0.replace('TwcN', 'Twc'),
      SRS0.replace('JN', 'JO'),
      SRS0.replace('User', 'root'),
      SRS0.replace('Example', 'Evil'),
      SRS0.replace('TwcN', 'é€TN'),
      SRS1.replace('39Wd', '39We'),
      SRS1.replace('forwarder', 'other'),
      'SRS0=TwcN=JN=Example.org@forwarder.example',
      'SRS0=@forwarder.example',
    ]) {
      expect(unsign(address, at(0))).toBe(address);
    }
  });

  it('rejects an invalid day even if its signature is valid', () => {
    for (const day of ['J', 'J1', '1J', 'JNN']) {
      const hash = createHmac('sha1', 'shh')
        .update(`${day}example.orguser`.toLowerCase())
        .digest('base64')
        .slice(0, 4);
      const address = `SRS0=${hash}=${day}=example.org=user@forwarder.example`;
      expect(unsign(address, at(0))).toBe(address);
    }
  });
});

describe('BATV', () => {
  const NOW = 20_100 * DAY_MS;
  /** draft-levine-smtp-batv-01, section 4 */
  function sign(address: string, key: string, number: number, lastDay: number): string {
    const tag = `${number}${String(lastDay % 1000).padStart(3, '0')}`;
    return `prvs=${tag}${createHmac('sha1', key)
      .update(tag + address)
      .digest('hex')
      .slice(0, 6)}=${address}`;
  }
  const batv: Signatures = { batv: 'secret', now: () => NOW };

  it('returns the address until its last day', () => {
    for (const lastDay of [20_100, 20_107, 20_100 + 500]) {
      expect(unsign(sign('User@example.com', 'secret', 0, lastDay), batv)).toBe('User@example.com');
    }
    for (const lastDay of [20_099, 20_000, 19_601]) {
      const address = sign('user@example.com', 'secret', 0, lastDay);
      expect(unsign(address, batv)).toBe(address);
    }
  });

  it('handles the wrap-around of the three-digit day', () => {
    const now = () => 20_998 * DAY_MS;
    expect(unsign(sign('a@b', 'secret', 0, 21_003), { batv: 'secret', now })).toBe('a@b');
    const old = sign('a@b', 'secret', 0, 20_997);
    expect(unsign(old, { batv: 'secret', now: () => 21_001 * DAY_MS })).toBe(old);
  });

  it('finds the key by its number', () => {
    const keys: Signatures = { ...batv, batv: { 1: 'old', 2: 'new' } };
    expect(unsign(sign('a@b', 'old', 1, 20_105), keys)).toBe('a@b');
    expect(unsign(sign('a@b', 'new', 2, 20_105), keys)).toBe('a@b');
    for (const address of [sign('a@b', 'old', 2, 20_105), sign('a@b', 'old', 3, 20_105)]) {
      expect(unsign(address, keys)).toBe(address);
    }
  });

  it('is returned unchanged if it is forged', () => {
    const good = sign('user@example.com', 'secret', 0, 20_105);
    const forged = good.replace('=user', '=root');
    expect(unsign(forged, batv)).toBe(forged);
    expect(unsign(good, { ...batv, batv: 'other' })).toBe(good);
    expect(unsign(good.toUpperCase().replace('USER@EXAMPLE.COM', 'user@example.com'), batv)).toBe(
      'user@example.com',
    );
  });
});
