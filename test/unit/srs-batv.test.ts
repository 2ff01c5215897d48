/** tsmilter/srs: envelope senders that are signed with BATV. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Batv, type BatvOptions } from 'tsmilter/srs';
import { unsign } from 'tsmilter/utils';
import { errorWith } from '../support/expect';

const DAY = 86_400_000;
/** Day 785 modulo 1,000. */
const NOW = 20_785 * DAY;

const batv = (options: Partial<BatvOptions> = {}) =>
  new Batv({ keys: { 3: 'secret' }, domains: ['example.com'], now: () => NOW, ...options });
const later = (days: number, options: Partial<BatvOptions> = {}) =>
  batv({ now: () => NOW + days * DAY, ...options });

/** Signs as the draft says, without this package. */
function draft(address: string, tag = '3792', secret = 'secret'): string {
  const hash = createHmac('sha1', secret)
    .update(tag + address)
    .digest('hex')
    .slice(0, 6);
  return `prvs=${tag}${hash}=${address}`;
}

describe('a sender that is signed', () => {
  it('has the key, the last day and the signature of the draft', () => {
    expect(batv().sign('ann@example.com')).toBe(draft('ann@example.com'));
    expect(batv().sign('<ann@example.com>')).toBe(`<${draft('ann@example.com')}>`);
    expect(batv({ now: () => 20_999 * DAY }).sign('ann@example.com')).toBe(draft('ann@example.com', '3006'));
  });

  it.each([
    '<>',
    '',
    'postmaster',
    'ann@elsewhere.example',
    'ann@sub.example.com',
    '@example.com',
    '<@relay.example:ann@example.com>',
    'prvs=3792abcdef=ann@example.com',
  ])('is left alone: %s', (address) => {
    expect(batv().sign(address)).toBe(address);
  });

  it.each([
    'ann@example.com',
    'Ann.B@Example.COM',
    '"a b"@example.com',
    '"@"@example.com',
    'ü+x=y@example.com',
  ])('is restored, here and by unsign: %s', (address) => {
    for (const given of [address, `<${address}>`]) {
      const signed = batv().sign(given);
      expect(signed).not.toBe(given);
      expect(batv().verify(signed)).toStrictEqual({ result: 'ok', address: given });
      expect(unsign(signed, { batv: { 3: 'secret' }, now: () => NOW })).toBe(given);
    }
  });

  it('is in one of our domains in either spelling', () => {
    const ours = batv({ domains: ['münchen.example'] });
    for (const address of ['ann@münchen.example', 'ann@xn--mnchen-3ya.example'])
      expect(ours.verify(ours.sign(address))).toStrictEqual({ result: 'ok', address });
  });
});

describe('a recipient', () => {
  it('is recognised after a receiver has changed letter case or unnecessary quotes', () => {
    const signed = batv().sign('Ann@Example.com');
    for (const changed of [signed.toLowerCase(), signed.toUpperCase()])
      expect(batv().verify(changed)).toMatchObject({ result: 'ok' });
    const quoted = batv().sign('"joe"@example.com');
    const bare = quoted.replaceAll('"', '');
    expect(batv().verify(bare)).toStrictEqual({ result: 'ok', address: 'joe@example.com' });
  });

  it('is accepted if another implementation has signed it as it is written', () => {
    const signed = draft('Ann@Example.com');
    expect(batv().verify(signed)).toStrictEqual({ result: 'ok', address: 'Ann@Example.com' });
  });

  it('expires after its last day, and stays expired for the rest of the 1,000 days', () => {
    const signed = batv().sign('ann@example.com');
    const results = Array.from({ length: 992 }, (_, days) => later(days).verify(signed).result);
    expect(results.slice(0, 8)).toStrictEqual(Array(8).fill('ok'));
    expect(new Set(results.slice(8))).toStrictEqual(new Set(['expired']));
    expect(later(-1).verify(signed).result).toBe('ok'); // another host's clock
    expect(later(-2).verify(signed).result).toBe('expired');
    expect(later(30, { maxAge: 30 }).verify(batv({ maxAge: 30 }).sign('ann@example.com')).result).toBe('ok');
  });

  it('is accepted with each of the keys, and only with the one of its number', () => {
    const old = batv({ keys: { 1: 'one' } }).sign('ann@example.com');
    const both = batv({ keys: { 1: 'one', 2: 'two' }, signWith: 2 });
    expect(both.verify(old).result).toBe('ok');
    expect(both.sign('ann@example.com')).toMatch(/^prvs=2/);
    expect(batv({ keys: { 2: 'one' } }).verify(old)).toStrictEqual({ result: 'forged' });
    expect(batv({ keys: { 1: 'two' } }).verify(old)).toStrictEqual({ result: 'forged' });
  });

  it('is forged if any character of the tag or the address has been changed', () => {
    const signed = batv().sign('ann@example.com');
    const local = signed.indexOf('@');
    for (let at = 'prvs='.length; at < local; at++) {
      if (signed[at] === '=') continue;
      const other = signed[at] === '7' ? '8' : '7';
      const forged = signed.slice(0, at) + other + signed.slice(at + 1);
      expect(batv().verify(forged)).toStrictEqual({ result: 'forged' });
    }
    for (const malformed of [
      'prvs=@example.com',
      'prvs=x=ann@example.com',
      'prvs=3792zzzzzz=ann@example.com',
    ])
      expect(batv().verify(malformed)).toStrictEqual({ result: 'forged' });
  });

  it.each(['<>', '', 'ann@example.com', 'prvs=3792abcdef=ann@elsewhere.example', 'prvs=3792abcdef=ann'])(
    'is none of ours to judge: %s',
    (address) => {
      expect(batv().verify(address)).toStrictEqual({ result: 'none' });
    },
  );
});

it.each<[string, object]>([
  ['no key', { keys: {} }],
  ['an empty key', { keys: { 1: '' } }],
  ['a key number of two digits', { keys: { 10: 'x' } }],
  ['a key without a number', { keys: { x: 'x' } }],
  ['several keys and none to sign with', { keys: { 1: 'x', 2: 'y' } }],
  ['a signing key that is missing', { signWith: 4 }],
  ['no domain', { domains: [] }],
  ['an address as domain', { domains: ['a@b'] }],
  ['maxAge 0', { maxAge: 0 }],
  ['a maxAge that the day cannot express', { maxAge: 401 }],
  ['an unknown option', { key: 'x' }],
])('refuses %s', (_, options) => {
  expect(() => batv(options)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
});
