/** encodeHeader: what parseHeader reads back, in lines that an MTA and RFC 2047 allow. */
import { randomInt } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { encodeHeader, parseHeader } from 'tsmilter/utils';
import { fits } from '#lib/internal/wire-text.js';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';

const unfold = (value: string): string => value.replace(/\n(?=[ \t])/g, '');
const readBack = (text: string): string => parseHeader(unfold(encodeHeader(text)));

describe('encodeHeader', () => {
  it('leaves ordinary ASCII text alone', () => {
    for (const text of ['', 'hello', 'Re: [list] a, b (c) "d" <e@f.example>', '100% of =20 and ?=']) {
      expect(encodeHeader(text)).toBe(text);
    }
  });

  it('encodes what needs it, and no more', () => {
    expect(encodeHeader('grüße')).toBe('=?UTF-8?Q?gr=C3=BC=C3=9Fe?=');
    expect(encodeHeader('\udce9')).toBe('=?UTF-8?B?77+9?=');
    expect(encodeHeader('Re: Jörg and Bob')).toBe('Re: =?UTF-8?Q?J=C3=B6rg?= and Bob');
    expect(encodeHeader('отказ')).toBe('=?UTF-8?B?0L7RgtC60LDQtw==?=');
    expect(encodeHeader('=?utf-8?q?x?=')).not.toContain('=?utf-8?q?x?=');
  });

  it('never lets text begin another header', () => {
    expect(readBack('a\r\nBcc: b@c.example\0\x1b')).toBe('a  Bcc: b@c.example  ');
    expect(encodeHeader('a\nb')).toBe('a b');
  });

  it('refuses what is not a string', () => {
    for (const other of [null, undefined, 7, {}]) {
      expect(() => encodeHeader(other as never)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    }
  });

  it('is read back as the text, in lines that RFC 2047 allows, whatever the text', () => {
    const seed = randomInt(2 ** 31);
    const random = randomNumbers(seed);
    const alphabets = [
      'ab c',
      'a=?_ ',
      'äöü ß',
      'жук ab',
      '拒絶 ',
      '😀e\u0301 x',
      '  a',
      '\r\n\t\0a',
      '=?UTF-8?Q?=41?= ',
    ];
    for (let i = 0; i < 1000; i++) {
      const pieces = Array.from({ length: 1 + random(3) }, () => {
        const letters = Array.from(alphabets[random(alphabets.length)] as string);
        return Array.from(
          { length: random(random(20) === 0 ? 900 : 60) },
          () => letters[random(letters.length)],
        ).join('');
      });
      const text = pieces.join('');
      const about = `seed ${seed}, text ${i}: ${JSON.stringify(text)}`;
      const encoded = encodeHeader(text);
      expectThat(fits('headerValue', encoded), about).toBe(true);
      expectThat(/^[\n -~]*$/.test(encoded), about).toBe(true);
      expectThat(parseHeader(unfold(encoded)), about).toBe(text.replace(/\p{Cc}/gu, ' '));
      const lines = `Subject: ${encoded}`.split('\n');
      for (const line of lines) expectThat(line.includes('=?') && line.length > 76, about).toBe(false);
      for (const [word] of encoded.matchAll(/=\?UTF-8\?[^ \n]*/g))
        expectThat(word.length, about).toBeLessThanOrEqual(75);
    }
  });

  it('takes time in proportion to the text', async () => {
    for (const piece of ['a', ' ', 'ä', 'a ', 'ä ', '=?', '\n', '😀']) {
      encodeHeader(piece.repeat(1000));
      expectThat(await cpuTime(() => encodeHeader(piece.repeat(60_000))), JSON.stringify(piece)).toBeLessThan(
        1500,
      );
    }
  });
});
