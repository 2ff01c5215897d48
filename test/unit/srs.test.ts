/** tsmilter/srs: senders rewritten and restored. */
import { describe, expect, it } from '@jest/globals';
import { MilterError, Srs, type SrsOptions } from 'tsmilter/srs';
import { randomNumbers } from '../support/random.js';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-28T14:30:00Z');

const srs = (options: Partial<SrsOptions> = {}) =>
  new Srs({ secrets: ['new', 'old'], domain: 'fwd.example', now: () => NOW, ...options });

describe('a sender that is forwarded', () => {
  it('is restored if its local part needs quotes, and a backslash in them', () => {
    for (const address of ['"a b"@example.com', '<"u\\"b"@example.com>', '"a\\\\b"@example.com'])
      expect(srs().reverse(srs().forward(address))).toStrictEqual({ result: 'ok', address });
  });

  it('gets hash, day, domain and local part, and is restored', () => {
    const forwarded = srs().forward('<bob@orig.example>');
    expect(forwarded).toMatch(/^<SRS0=[A-Za-z0-9+/]{4}=[A-Z2-7]{2}=orig\.example=bob@fwd\.example>$/);
    expect(srs().reverse(forwarded)).toEqual({ result: 'ok', address: '<bob@orig.example>' });
  });

  it('a second time becomes SRS1, a third time does not grow, and goes back to the first forwarder', () => {
    const first = srs().forward('bob@orig.example');
    const second = srs({ domain: 'two.example', secrets: ['2'] });
    const third = srs({ domain: 'three.example', secrets: ['3'] });
    const twice = second.forward(first);
    expect(twice).toMatch(/^SRS1=[^=]{4}=fwd\.example==[^=]{4}=[A-Z2-7]{2}=orig\.example=bob@two\.example$/);
    const thrice = third.forward(twice);
    expect(thrice).toMatch(
      /^SRS1=[^=]{4}=fwd\.example==[^=]{4}=[A-Z2-7]{2}=orig\.example=bob@three\.example$/,
    );
    expect(third.reverse(thrice)).toEqual({ result: 'ok', address: first });
    expect(second.reverse(twice)).toEqual({ result: 'ok', address: first });
  });

  it.each(['=', '+', '-'] as const)('with %s behind the tag', (separator) => {
    const address = srs({ separator }).forward('bob@orig.example');
    expect(address.startsWith(`SRS0${separator}`)).toBe(true);
    expect(srs().reverse(address)).toEqual({ result: 'ok', address: 'bob@orig.example' });
    const twice = srs({ domain: 'two.example' }).forward(address);
    expect(srs({ domain: 'two.example' }).reverse(twice)).toEqual({ result: 'ok', address });
  });

  it.each([
    '<>',
    '',
    '<postmaster>',
    '<bob@fwd.example>',
    '<bob@FWD.example>',
    '<bob@also.example>',
    '"a\tb"@orig.example',
  ])('is left alone: %s', (address) => {
    expect(srs({ ownDomains: ['also.example'] }).forward(address)).toBe(address);
  });

  it('has a domain of either spelling', () => {
    const ours = srs({ domain: 'münchen.example', ownDomains: ['xn--bcher-kva.example'] });
    expect(ours.forward('<a@xn--mnchen-3ya.example>')).toBe('<a@xn--mnchen-3ya.example>');
    expect(ours.forward('<a@bücher.example>')).toBe('<a@bücher.example>');
    const forwarded = ours.forward('a@orig.example').replace('münchen', 'XN--mnchen-3ya');
    expect(ours.reverse(forwarded)).toStrictEqual({ result: 'ok', address: 'a@orig.example' });
  });

  it.each([
    '"a b"@orig.example',
    'a=b=c@orig.example',
    'SRS0@orig.example',
    'SRS0=@orig.example',
    '"@"@orig.example',
  ])('comes back as it was: %s', (address) => {
    expect(srs().reverse(srs().forward(address))).toEqual({ result: 'ok', address });
  });

  it.each(['SRS0=k3y@db.example', 'SRS0+a+b=c@db.example', 'srs0-k3y@db.example'])(
    'becomes SRS1 whatever the first forwarder has written, which is kept: %s',
    (first) => {
      const address = first.replace(/^srs/, 'SRS');
      const once = srs().forward(first);
      const again = srs({ domain: 'two.example', secrets: ['2'] });
      const twice = again.forward(once);
      const rest = address.slice('SRS0'.length, address.indexOf('@'));
      expect(once).toMatch(/^SRS1=[^=]{4}=db\.example=/);
      expect(once.endsWith(`=db.example=${rest}@fwd.example`)).toBe(true);
      expect(twice.endsWith(`=db.example=${rest}@two.example`)).toBe(true);
      expect(srs().reverse(once)).toEqual({ result: 'ok', address });
      expect(again.reverse(twice)).toEqual({ result: 'ok', address });
    },
  );
});

describe('a recipient', () => {
  const address = srs().forward('Bob.Jones@Orig.example');

  it('whose letter case has changed is restored in that case', () => {
    expect(srs().reverse(address.toLowerCase())).toEqual({ result: 'ok', address: 'bob.jones@orig.example' });
    expect(srs().reverse(address.toUpperCase())).toEqual({ result: 'ok', address: 'BOB.JONES@ORIG.EXAMPLE' });
  });

  it('of an older secret is accepted until the secret is removed', () => {
    const old = srs({ secrets: ['old'] }).forward('bob@orig.example');
    expect(srs().reverse(old).result).toBe('ok');
    expect(srs({ secrets: ['new'] }).reverse(old).result).toBe('forged');
  });

  it.each([
    ['on the day', 0, 'ok'],
    ['after 21 days', 21, 'ok'],
    ['after 22 days', 22, 'expired'],
    ['after 1,000 days', 1000, 'expired'],
    ['a day ahead, for clocks differ', -1, 'ok'],
    ['two days ahead', -2, 'expired'],
  ])('%s', (_title, days, result) => {
    expect(srs({ now: () => NOW + days * DAY }).reverse(address).result).toBe(result);
  });

  it.each([
    ['another local part', (text: string) => text.replace('Bob', 'Eve')],
    ['another domain', (text: string) => text.replace('Orig.example', 'evil.example')],
    ['another day', (text: string) => text.replace(/=([A-Z2-7])([A-Z2-7])=/, '=$2$1=')],
    ['a shorter hash', (text: string) => text.replace(/=([^=]{3})[^=]=/, '=$1=')],
    ['no hash', (text: string) => text.replace(/=[^=]{4}=/, '==')],
    ['a part missing', (text: string) => text.replace('=Bob.Jones', '')],
    ['nothing behind the tag', () => 'SRS0=@fwd.example'],
    ['nothing behind SRS1', () => 'SRS1=@fwd.example'],
    ['SRS1 without a first address', () => 'SRS1=aaaa=x.example=rest@fwd.example'],
  ])('is forged: %s', (_title, change) => {
    expect(srs().reverse(change(address)).result).toBe('forged');
  });

  it.each([
    'bob@fwd.example',
    '<>',
    '',
    'SRS0=x=y=z=bob@other.example',
    'SRS2=x@fwd.example',
    `${'a'.repeat(400)}@fwd.example`,
  ])('is none of ours: %s', (text) => {
    expect(srs().reverse(text)).toEqual({ result: 'none' });
  });

  it('of random characters never throws and is never authentic', () => {
    const random = randomNumbers(4);
    const pieces = [
      'SRS0',
      'SRS1',
      '=',
      '+',
      '-',
      '@',
      '<',
      '>',
      '"',
      '\\',
      'fwd.example',
      'AA',
      'x',
      '\u00fc',
      '\udcff',
      ' ',
    ];
    const wrong: string[] = [];
    for (let nth = 0; nth < 20_000; nth++) {
      const text = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]).join('');
      if (typeof srs().forward(text) !== 'string' || srs().reverse(text).result === 'ok') wrong.push(text);
    }
    expect(wrong).toStrictEqual([]);
  });
});

describe('options', () => {
  it.each([
    [{ secrets: [] }, /at least one secret/],
    [{ secrets: [''] }, /none may be empty/],
    [{ domain: 'a@b' }, /domain must be a domain name/],
    [{ hashLength: 3 }, /hashLength must be a whole number from 4 to 27/],
    [{ maxAge: 0 }, /maxAge must be a whole number/],
    [{ separator: '*' as '=' }, /separator must be/],
    [{ secret: 'x' } as Partial<SrsOptions>, /no option secret; did you mean secrets\?/],
  ])('%j', (options, message) => {
    expect(() => srs(options)).toThrow(message);
    expect(() => srs(options)).toThrow(MilterError);
  });
});
