/** Contract 10: what setreply takes, without libmilter. */
import { describe, expect, it } from '@jest/globals';
import { MilterError } from '#lib/internal/errors.js';
import { checkReply, MAX_REPLY_BYTES, MAX_REPLY_LINES } from '#lib/session/reply.js';
import { errorWith, expectThat } from '../support/expect';

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
    for (const good of ['5.7.1', '4.0.0', '5.123.999', null]) checkReply('550', good, ['x']);
    for (const wrong of [
      '',
      '5.7',
      '5.7.',
      '5.7.1.1',
      '1.7.1',
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

  it('CR, LF and NUL are refused at any position', () => {
    for (const bad of ['\r', '\n', '\0', '\r\n']) {
      for (const line of [bad, `a${bad}`, `${bad}a`, `a${bad}b`]) {
        refused('550', null, [line]);
        refused('550', null, ['fine', line]);
      }
    }
  });

  it('a line has at most as many bytes as libmilter accepts, counted as they are sent', () => {
    expect(MAX_REPLY_BYTES).toBe(980);
    for (const [character, bytes] of [
      ['x', 1],
      ['ü', 2],
      ['€', 3],
      ['😀', 4],
      ['\udce9', 1],
    ] as const) {
      const most = Math.floor(980 / bytes);
      expectThat(checkReply('550', null, [character.repeat(most)]), JSON.stringify(character)).toHaveLength(
        1,
      );
      refused('550', null, [character.repeat(most + 1)]);
    }
  });

  it('requires lines to be strings', () => {
    for (const wrong of [7, {}, undefined, true, ['x'], Buffer.from('x')]) refused('550', null, [wrong]);
  });
});
