/**
 * The readings of a character set: as what text a program may read HTML whose markup is ASCII.
 *
 * Scripts are searched in the bytes as they are, which is right for every character set that contains ASCII. Each function
 * here gives the text for programs that decode otherwise, if there is a difference. What the characters beyond ASCII become
 * does not matter.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { decodeEscapes, decodeUtf7, isEscaped, isImapUtf7, isUtf7 } from './charset-text.js';
import { fromEbcdic, isEbcdic } from './ebcdic.js';
import {
  EUC_JP,
  HZ_SHIFTS,
  PAIRS,
  SHIFT_CONTROLS,
  SHIFT_JIS,
  SHIFTS,
  type Unwanted,
  without,
  withoutNul,
} from './left-out.js';
import { SPACE } from './lines.js';

const TILDE = 0x7e;
const PLUS = 0x2b;
const AMPERSAND = 0x26;
const EBCDIC_LESS = 0x4c;

type Reading = (html: Buffer, charsets: readonly string[]) => Buffer | null;

const latin1 = (html: Buffer): string => html.toString('latin1');
const mapped = (html: Buffer, change: (byte: number) => number): Buffer => html.map(change) as Buffer;

/** UTF-16 and UTF-32 in any byte order and under any label, and programs that skip NUL. */
const narrowed: Reading = (html) => (html.includes(0) ? withoutNul(html) : null);

/** Whether HTML says itself that it is HZ. */
const declaresHz = (html: Buffer): boolean =>
  (html.includes('~{') || html.includes('~}')) && /charset\s*=\s*["']?hz/i.test(latin1(html));

/** ISO-2022 and HZ: without the sequences that switch between character sets. */
const stateless: Reading = (html, charsets) => {
  const isHz = charsets.some((charset) => charset.includes('hz')) || declaresHz(html);
  if (![...SHIFT_CONTROLS, ...(isHz ? [TILDE] : [])].some((byte) => html.includes(byte))) return null;
  const text = without(html, SHIFTS);
  return isHz ? without(text, HZ_SHIFTS) : text;
};

/** UTF-7, which some programs also detect by themselves. */
const utf7: Reading = (html, charsets) => {
  const isImap = charsets.some(isImapUtf7);
  if (!html.includes(isImap ? AMPERSAND : PLUS)) return null;
  // IMAP's form has other characters for the same (RFC 3501 5.1.3).
  const text = latin1(isImap ? mapped(html, (byte) => (byte === AMPERSAND ? PLUS : byte)) : html);
  const isMeant = charsets.some(isUtf7) || /utf-?7/i.test(text) || /\+A(?:Dw|D4|HM)/.test(text);
  return isMeant ? Buffer.from(decodeUtf7(text), 'utf8') : null;
};

/** Overlong forms of UTF-8 (RFC 3629 3), which careless decoders accept. */
const overlong: Reading = (html) => {
  if (!html.includes(0xc0) && !html.includes(0xc1) && !html.includes('\xe0\x80', 0, 'latin1')) return null;
  const text = Buffer.allocUnsafe(html.length);
  let length = 0;
  for (let at = 0; at < html.length; ) {
    const size = overlongSize(html, at);
    const last = html[at + size - 1] as number;
    // The last two bytes stand for seven bits.
    text[length++] = size === 1 ? last : (((html[at + size - 2] as number) & 1) << 6) | (last & 0x3f);
    at += size;
  }
  return text.subarray(0, length);
};

/** The size of the overlong form at `at`; 1 if there is none. */
function overlongSize(html: Buffer, at: number): number {
  const lead = html[at];
  if (lead === 0xc0 || lead === 0xc1) return isContinuation(html[at + 1]) ? 2 : 1;
  if (lead !== 0xe0 || (html[at + 1] !== 0x80 && html[at + 1] !== 0x81)) return 1;
  return isContinuation(html[at + 2]) ? 3 : 1;
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && byte >> 6 === 2;

/** What may contain a script begins with one of these. */
const BEGINS_SCRIPT = /^<(?:script|iframe)/i;
const LONGEST_BEGINNING = '<script'.length;
/** What becomes `<` without its eighth bit. */
const HIGH_LESS = 0xbc;

/**
 * Seven bits: programs that ignore the eighth bit where ASCII is declared. Text that is UTF-8 in fact, as much mail is, has bytes in it
 * that become `<` by chance (`ü`): they count only in front of a script.
 */
const sevenBits: Reading = (html, charsets) => {
  if (!charsets.some((charset) => /ascii|646|iso-ir-6\b/.test(charset)) || isAscii(html)) return null;
  const text = mapped(html, (byte) => byte & 0x7f);
  if (!isUtf8(html)) return text;
  for (let at = html.indexOf(HIGH_LESS); at >= 0; at = html.indexOf(HIGH_LESS, at + 1))
    if (!BEGINS_SCRIPT.test(text.toString('latin1', at, at + LONGEST_BEGINNING))) text[at] = SPACE;
  return text;
};

const ebcdic: Reading = (html, charsets) =>
  charsets.some(isEbcdic) && html.includes(EBCDIC_LESS) ? fromEbcdic(html) : null;

/** Python's escapes in ASCII. */
const escaped: Reading = (html, charsets) =>
  charsets.some(isEscaped) && html.includes('\\') ? Buffer.from(decodeEscapes(latin1(html))) : null;

/**
 * Without characters of several bytes, in character sets that have such. All but the first byte may be a quote or a bracket to programs
 * that take any byte for one; then it ends no attribute.
 */
const withoutCharacters =
  (label: RegExp, characters: Unwanted): Reading =>
  (html, charsets) =>
    charsets.some((charset) => label.test(charset)) && !isAscii(html) ? without(html, characters) : null;

const READINGS: readonly Reading[] = [
  stateless,
  utf7,
  overlong,
  sevenBits,
  withoutCharacters(/jis|shift|932|31j|ms_kanji/, SHIFT_JIS),
  withoutCharacters(/euc-?jp|ujis|x-euc$/, EUC_JP),
  withoutCharacters(/gb|big-?5|euc-?(?:kr|cn|tw)|ksc|ks_c|windows-9(?!32)|cp9(?!32)|johab|uhc/, PAIRS),
  ebcdic,
  escaped,
];

/**
 * The texts that a program may read, other than the bytes as they are.
 *
 * @param charsets all labels that are given, in lower case
 */
export function* otherTexts(html: Buffer, charsets: readonly string[]): Generator<Buffer> {
  const narrow = narrowed(html, charsets);
  if (narrow) yield narrow;
  for (const read of READINGS) {
    for (const text of narrow ? [html, narrow] : [html]) {
      const other = read(text, charsets);
      if (other) yield other;
    }
  }
}
