/** Contract 10: what setreply takes, without libmilter. */
import { randomInt } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { MilterError } from '#lib/internal/errors.js';
import {
  checkReply,
  extendedToSend,
  MAX_REPLY_BYTES,
  MAX_REPLY_LINES,
  MAX_REPLY_OCTETS,
} from '#lib/session/reply.js';
import { replyOfText } from '#lib/session/reply-text.js';
import { errorWith, expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';

const refused = (...args: Parameters<typeof checkReply>) =>
  expectThat(() => checkReply(...args), JSON.stringify(args).slice(0, 100)).toThrow(
    errorWith({ code: 'ERR_MILTER_BAD_REPLY' }, MilterError),
  );

/** @contract 10 */
describe('checkReply', () => {
  it('accepts every code of class 4 and 5, and no other', () => {
    for (let code = 0; code < 1000; code++) {
      const text = String(code).padStart(3, '0');
      if (code >= 400 && code < 600) expect(checkReply(text, null, ['x'])).toStrictEqual(['x']);
      else refused(text, null, ['x']);
    }
    for (const wrong of [
      '',
      '55',
      '5500',
      '5 0',
      ' 550',
      '550 ',
      '5x0',
      '٥٥٠',
      '550\n',
      550,
      null,
      undefined,
      ['550'],
    ]) {
      refused(wrong, null, ['x']);
    }
  });

  it('accepts an extended code or null', () => {
    for (const good of ['5.7.1', '5.0.0', '5.123.999', null]) checkReply('550', good, ['x']);
    for (const wrong of [
      '',
      '5.7',
      '5.7.',
      '5.7.1.1',
      '1.7.1',
      '2.7.1',
      '5.07.1',
      '5.7.00',
      '5.1234.1',
      '5,7,1',
      '5.7.x',
      '5.7.1 ',
      '5.7.1\n',
      5,
      undefined,
    ]) {
      refused('550', wrong, ['x']);
    }
  });

  it('accepts 1 to 32 lines', () => {
    expect(MAX_REPLY_LINES).toBe(32);
    for (let count = 1; count <= 32; count++) {
      const lines = Array.from({ length: count }, (_, i) => `line ${i}`);
      expect(checkReply('550', '5.7.1', lines)).toStrictEqual(lines);
    }
    refused('550', '5.7.1', Array(33).fill('x'));
  });

  it('takes no line, or null as the only one, as no text', () => {
    expect(checkReply('550', '5.7.1', [])).toStrictEqual([]);
    expect(checkReply('550', '5.7.1', [null])).toStrictEqual([]);
    refused('550', '5.7.1', [null, null]);
    refused('550', '5.7.1', ['x', null]);
  });

  it('throws for a run of % of odd length, but not of even length', () => {
    for (let count = 0; count <= 9; count++) {
      for (const around of ['', 'x', '% %'.replace(/%/g, '')]) {
        const line = `${around}${'%'.repeat(count)}${around}`;
        if (count % 2 === 0) expect(checkReply('550', null, [line])).toStrictEqual([line]);
        else refused('550', null, [line]);
      }
    }
    refused('550', null, ['%% then %']);
    refused('550', null, ['fine', '%']);
    refused('550', null, ['%s']);
    checkReply('550', null, ['100%% and %%%% more']);
  });

  it('the code and the extended code are of one class (RFC 3463)', () => {
    checkReply('450', '4.7.1', ['x']);
    for (const [code, extended] of [
      ['550', '4.7.1'],
      ['450', '5.7.1'],
      ['421', '5.7.1'],
    ]) {
      refused(code, extended, ['x']);
    }
  });

  it('a line has TAB and printable ASCII only (RFC 5321 4.2)', () => {
    for (let code = 0; code < 0x180; code++) {
      const character = code === 0x25 ? '%%' : String.fromCharCode(code);
      const isGood = code === 9 || (code >= 32 && code < 127);
      for (const line of [character, `a${character}`, `${character}a`, `a${character}b`]) {
        if (isGood) expect(checkReply('550', null, [line])).toStrictEqual([line]);
        else refused('550', null, [line]);
      }
      if (!isGood) refused('550', null, ['fine', character]);
    }
    for (const bad of ['spam \u010D\u010A250 2.0.0 ok', 'отказ', '拒', '\udc8d', '\ud800', '😀'])
      refused('550', '5.7.1', [bad]);
  });

  it('a line has at most as many characters as libmilter accepts', () => {
    expect(MAX_REPLY_BYTES).toBe(980);
    expect(checkReply('550', null, ['x'.repeat(980)])).toHaveLength(1);
    refused('550', null, ['x'.repeat(981)]);
  });

  it('all lines have at most the octets that Sendmail has room for', () => {
    expect(MAX_REPLY_OCTETS).toBe(16_000);
    const lines = Array.from({ length: 32 }, () => 'x'.repeat(500 - '550-5.7.1 \r\n'.length));
    expect(checkReply('550', '5.7.1', lines)).toStrictEqual(lines);
    expect(checkReply('550', null, lines)).toStrictEqual(lines); // libmilter sends 5.0.0
    refused('550', '5.7.1', [...lines.slice(1), `${lines[0]}x`]);
    refused('550', '5.17.1', lines);
    refused('550', null, [...lines.slice(1), `${lines[0]}x`]);
    refused('550', '5.7.1', Array(32).fill('x'.repeat(980)));
    checkReply('550', '5.7.1', [...lines.slice(1), '%%'.repeat(488)]); // the client gets one of two
  });

  it('requires lines to be strings', () => {
    for (const wrong of [7, {}, undefined, true, ['x'], Buffer.from('x')]) refused('550', null, [wrong]);
  });
});

describe('extendedToSend', () => {
  it('is X.0.0 where the MTA could read a code in the text', () => {
    for (const line of ['192.0.2.1 is listed in dnsbl.example', '4.7.1 x', '5 x', '5.7.1']) {
      expect(extendedToSend('550', null, [line])).toBe('5.0.0');
      expect(extendedToSend('450', null, [line])).toBe('4.0.0');
      expect(extendedToSend('550', '5.7.1', [line])).toBe('5.7.1');
    }
    for (const lines of [[], [''], ['x 4.7.1'], [' 4.7.1']])
      expect(extendedToSend('550', null, lines)).toBeNull();
  });
});

describe('replyOfText', () => {
  const of = (text: string, code = '550', extended: string | null = null) =>
    replyOfText(code, extended, text);

  it('leaves harmless text alone, and doubles percent signs', () => {
    expect(of('listed in dnsbl.example')).toStrictEqual(['5.7.1', 'listed in dnsbl.example']);
    expect(of('100% %s %%')).toStrictEqual(['5.7.1', '100%% %%s %%%%']);
  });

  it('chooses an extended code of the class of the code', () => {
    expect(of('x', '450')[0]).toBe('4.7.1');
    expect(of('x', '450', '5.1.8')[0]).toBe('4.1.8');
    expect(of('x', '550', '4.1.8')[0]).toBe('5.1.8');
    expect(of('x', '550', '2.1.5')[0]).toBe('5.1.5');
    for (const wrong of ['250', '55', ''])
      expect(() => of('x', wrong)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_REPLY' }));
    for (const wrong of ['7.1', '9.7.1', 'x'])
      expect(() => of('x', '550', wrong)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_REPLY' }));
  });

  it('replaces what may not stand in a reply', () => {
    expect(of('grüße 😀 \u010d\u010a \udc8d')).toStrictEqual(['5.7.1', 'gr??e ? ?? ?']);
    expect(of('a\x1b[2Jb\x07c\0d\x7fe\tf')).toStrictEqual(['5.7.1', 'a [2Jb c d e f']);
  });

  it('line breaks begin a line, and empty lines are left out', () => {
    expect(of('one\r\n two \n\n\rthree\u2028four')).toStrictEqual(['5.7.1', 'one', 'two', 'three', 'four']);
  });

  it('has a text where none is left', () => {
    for (const none of ['', ' ', '\r\n', '\0']) {
      expect(of(none)).toStrictEqual(['5.7.1', 'refused']);
      expect(of(none, '450')).toStrictEqual(['4.7.1', 'try again later']);
    }
  });

  it('cuts at 512 octets (RFC 5321 4.5.3.1.5), between words if it can, and after 32 lines or 16,000 octets', () => {
    const words = of('word '.repeat(200));
    expect(words).toHaveLength(4);
    for (const line of words.slice(1)) expect(line).toMatch(/^word( word)*$/);
    const long = of('x'.repeat(1e6));
    expect(long).toHaveLength(32); // the code, and lines for less than 16,000 octets
    expect(long.at(-1)).toMatch(/x \.\.\.$/);
    expect(of('a\n'.repeat(32))).toHaveLength(33);
    expect(of('a\n'.repeat(32)).at(-1)).toBe('a');
    expect(of('a\n'.repeat(33)).at(-1)).toBe('a ...');
    for (let width = 480; width <= 510; width++) {
      const [extended, ...lines] = of(`${'x'.repeat(width)}\n`.repeat(40), '450', '5.123.999');
      expect(checkReply('450', extended, lines)).toStrictEqual(lines);
      expect(lines.at(-1)).toMatch(/x \.\.\.$/);
    }
  });

  it('is always a reply that setreply takes, whatever the text', () => {
    const seed = randomInt(2 ** 31);
    const random = randomNumbers(seed);
    for (let i = 0; i < 1000; i++) {
      const alphabet = random(3) === 0 ? 0x10000 : 0x100;
      const text = Array.from({ length: random(2000) }, () => String.fromCharCode(random(alphabet))).join('');
      const [extended, ...lines] = of(
        text,
        i % 2 === 0 ? '450' : '550',
        [null, '5.1.1', '4.123.999'][random(3)],
      );
      expectThat(
        checkReply(i % 2 === 0 ? '450' : '550', extended, lines),
        `seed ${seed}, text ${i}`,
      ).toStrictEqual(lines);
      const lengths = lines.map((line) => `550-${extended} ${line.replaceAll('%%', '%')}\r\n`.length);
      expectThat(Math.max(...lengths), `seed ${seed}, text ${i}`).toBeLessThanOrEqual(512);
    }
  });
});
