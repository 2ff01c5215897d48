/** Text of untrusted senders in log lines. */
import { describe, expect, it } from '@jest/globals';
import { printable } from 'tsmilter/utils';
import { printableLines } from '#lib/internal/printable.js';
import { expectThat } from '../support/expect';

describe('printable', () => {
  const ESCAPED: [string, string][] = [
    ['a\nb\r\tc', 'a\\nb\\r\\tc'],
    ['a\0b\x1b[31m\x7f\x9b', 'a\\u0000b\\u001b[31m\\u007f\\u009b'],
    ['a\u2028b\u2029c\u0085d', 'a\\u2028b\\u2029c\\u0085d'],
    ['\u202eexe.\u202cgpj \u2066x\u2069', '\\u202eexe.\\u202cgpj \\u2066x\\u2069'],
    ['a\u200bb\ufeffc\u00add\u061ce', 'a\\u200bb\\ufeffc\\u00add\\u061ce'],
    ['gr\udcfcn', 'gr\\xfcn'],
    ['\ud800x', '\\ud800x'],
    ['\u{e0041}\ue000\uffff', '\\u{e0041}\\ue000\\uffff'],
    ['Jörg 日本 👍 é | "x" \\n', 'Jörg 日本 👍 é | "x" \\n'],
  ];
  for (const [text, expected] of ESCAPED) {
    it(JSON.stringify(text), () => expect(printable(text)).toBe(expected));
  }

  it('leaves no character that ends a line, steers a terminal or is invisible', () => {
    for (let code = 0; code <= 0x10ffff; code++) {
      const text = printable(String.fromCodePoint(code));
      if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) expectThat(text, code.toString(16)).toBe('');
    }
  });

  it('of several lines keeps line breaks and tabs', () => {
    expect(printableLines('a\n\tb\rc\u2028d')).toBe('a\n\tb\\rc\\u2028d');
  });
});
