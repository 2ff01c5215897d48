/**
 * The readings of a character set: as what text a program may read HTML whose markup is ASCII.
 *
 * Scripts are searched in the bytes as they are, which is right for every character set that contains ASCII. Each function
 * here gives the text for programs that decode otherwise, if there is a difference. What the characters beyond ASCII become
 * does not matter.
 */
import { isAscii } from 'node:buffer';
import { decodeUtf7, isImapUtf7, isUtf7, withoutShifts } from './charset-text.js';

const ESCAPE = 0x1b;
const SHIFT_OUT = 0x0e;
const SHIFT_IN = 0x0f;
const TILDE = 0x7e;
const PLUS = 0x2b;
const AMPERSAND = 0x26;

type Reading = (html: Buffer, charsets: readonly string[]) => Buffer | null;

const latin1 = (html: Buffer): string => html.toString('latin1');

/** UTF-16 and UTF-32 in any byte order and under any label, and programs that skip NUL. */
const withoutNul: Reading = (html) => {
  if (!html.includes(0)) return null;
  const kept = Buffer.allocUnsafe(html.length);
  let length = 0;
  for (let at = 0; at < html.length; at++) {
    const byte = html[at] as number;
    if (byte !== 0) kept[length++] = byte;
  }
  return kept.subarray(0, length);
};

/** Whether HTML says itself that it is HZ. */
const declaresHz = (html: Buffer): boolean =>
  (html.includes('~{') || html.includes('~}')) && /charset\s*=\s*["']?hz/i.test(latin1(html));

/** ISO-2022 and HZ: without the sequences that switch between character sets. */
const stateless: Reading = (html, charsets) => {
  const isHz = charsets.some((charset) => charset.includes('hz')) || declaresHz(html);
  if (![ESCAPE, SHIFT_OUT, SHIFT_IN, ...(isHz ? [TILDE] : [])].some((byte) => html.includes(byte)))
    return null;
  const text = withoutShifts(latin1(html));
  return Buffer.from(isHz ? text.replace(/~[{}\r\n]+/g, '') : text, 'latin1');
};

/** UTF-7, which some programs also detect by themselves. */
const utf7: Reading = (html, charsets) => {
  const isImap = charsets.some(isImapUtf7);
  if (!html.includes(isImap ? AMPERSAND : PLUS)) return null;
  // IMAP's form has other characters for the same (RFC 3501 5.1.3).
  const text = isImap ? latin1(html).replaceAll('&', '+') : latin1(html);
  const isMeant = charsets.some(isUtf7) || /utf-?7/i.test(text) || /\+A(?:Dw|D4|HM)/.test(text);
  return isMeant ? Buffer.from(decodeUtf7(text), 'utf8') : null;
};

/** Overlong forms of UTF-8 (RFC 3629 3), which careless decoders accept. */
const overlong: Reading = (html) => {
  if (!html.includes(0xc0) && !html.includes(0xc1) && !html.includes('\xe0\x80', 0, 'latin1')) return null;
  const text = latin1(html)
    .replace(/([\xc0\xc1])([\x80-\xbf])/g, (_, lead: string, next: string) =>
      String.fromCharCode(((lead.charCodeAt(0) & 1) << 6) | (next.charCodeAt(0) & 0x3f)),
    )
    .replace(/\xe0([\x80\x81])([\x80-\xbf])/g, (_, lead: string, next: string) =>
      String.fromCharCode(((lead.charCodeAt(0) & 1) << 6) | (next.charCodeAt(0) & 0x3f)),
    );
  return Buffer.from(text, 'latin1');
};

/** Seven bits: programs that ignore the eighth bit where ASCII is declared. */
const sevenBits: Reading = (html, charsets) => {
  if (!charsets.some((charset) => /ascii|646|iso-ir-6\b/.test(charset))) return null;
  return isAscii(html) ? null : (html.map((byte) => byte & 0x7f) as Buffer);
};

/** The invariant characters of EBCDIC, from the codes that all its code pages share. */
const EBCDIC: Uint8Array = (() => {
  const table = new Uint8Array(256).fill(0x3f);
  const put = (code: number, text: string) => {
    for (const [index, character] of [...text].entries()) table[code + index] = character.charCodeAt(0);
  };
  for (const [code, text] of [
    [0x81, 'abcdefghi'],
    [0x91, 'jklmnopqr'],
    [0xa2, 'stuvwxyz'],
    [0xc1, 'ABCDEFGHI'],
    [0xd1, 'JKLMNOPQR'],
    [0xe2, 'STUVWXYZ'],
    [0xf0, '0123456789'],
    [0x40, ' '],
    [0x4c, '<'],
    [0x6e, '>'],
    [0x61, '/'],
    [0x7e, '='],
    [0x7d, "'"],
    [0x7f, '"'],
    [0x60, '-'],
    [0x5a, '!'],
    [0x05, '\t'],
    [0x0d, '\r'],
    [0x15, '\n'],
    [0x25, '\n'],
  ] as const)
    put(code, text);
  return table;
})();

const ebcdic: Reading = (html, charsets) => {
  if (!charsets.some((charset) => /ebcdic|ibm|cp|^\d+$/.test(charset)) || !html.includes(0x4c)) return null;
  return html.map((byte) => EBCDIC[byte] as number) as Buffer;
};

/** Character sets of two bytes, whose second byte may be a quote or a bracket to programs that take any byte for one. */
const TWO_BYTES = /gb|big-?5|jis|shift|euc|ksc|ks_c|windows-9|cp9|johab|uhc/;

/** Without the pairs that begin with a byte beyond ASCII: a quote in one of them ends no attribute. */
const withoutPairs: Reading = (html, charsets) => {
  if (!charsets.some((charset) => TWO_BYTES.test(charset)) || isAscii(html)) return null;
  return Buffer.from(latin1(html).replace(/[\x80-\xff][\s\S]/g, ''), 'latin1');
};

const READINGS: readonly Reading[] = [stateless, utf7, overlong, sevenBits, withoutPairs, ebcdic];

/**
 * The texts that a program may read, other than the bytes as they are.
 *
 * @param charsets all labels that are given, in lower case
 */
export function* otherTexts(html: Buffer, charsets: readonly string[]): Generator<Buffer> {
  const narrow = withoutNul(html, charsets);
  if (narrow) yield narrow;
  for (const read of READINGS) {
    for (const text of narrow ? [html, narrow] : [html]) {
      const other = read(text, charsets);
      if (other) yield other;
    }
  }
}
