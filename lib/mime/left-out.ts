/**
 * Copies of bytes without some of them. A regular expression would make an object of each match, which for content that is made of
 * nothing else takes many times its memory.
 */

import { CR, LF, SPACE } from './lines.js';

/** How many bytes from `at` on are left out. */
export type Unwanted = (bytes: Buffer, at: number) => number;

/** A copy without what is `unwanted`. */
export function without(bytes: Buffer, unwanted: Unwanted): Buffer {
  const kept = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; ) {
    const count = unwanted(bytes, at);
    if (count === 0) kept[length++] = bytes[at++] as number;
    else at += count;
  }
  return kept.subarray(0, length);
}

/** A copy without NUL. Content may decode to very many of them, for which a call each takes longer than all else. */
export function withoutNul(bytes: Buffer): Buffer {
  const kept = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte !== 0) kept[length++] = byte;
  }
  return kept.subarray(0, length);
}

const ESCAPE = 0x1b;
const SHIFT_OUT = 0x0e;
const SHIFT_IN = 0x0f;

/** The controls by which ISO-2022 switches between character sets. */
export const SHIFT_CONTROLS: readonly number[] = [ESCAPE, SHIFT_OUT, SHIFT_IN];

/** What switches between character sets: those controls, ESC with the rest of its sequence (ECMA-35). Without it, ASCII is left. */
export const SHIFTS: Unwanted = (bytes, at) => {
  const byte = bytes[at] as number;
  if (byte !== ESCAPE) return byte === SHIFT_OUT || byte === SHIFT_IN ? 1 : 0;
  let end = at + 1;
  while (isBetween(bytes[end], 0x20, 0x2f)) end++;
  return isBetween(bytes[end], 0x30, 0x7e) ? end + 1 - at : 0;
};

const isBetween = (byte: number | undefined, first: number, last: number): boolean =>
  byte !== undefined && byte >= first && byte <= last;

const TILDE = 0x7e;
/** What HZ (RFC 1843) has after a tilde: braces, and the end of a line. */
const HZ_MARKS: ReadonlySet<number | undefined> = new Set(Buffer.from('{}\r\n'));

/** What switches between character sets in HZ. */
export const HZ_SHIFTS: Unwanted = (bytes, at) => {
  if (bytes[at] !== TILDE) return 0;
  let end = at + 1;
  while (HZ_MARKS.has(bytes[end])) end++;
  return end === at + 1 ? 0 : end - at;
};

/** Characters of several bytes, by the first of them. What follows it may be any byte. A character of one byte stays. */
const wideCharacters =
  (sizeOf: (lead: number) => number): Unwanted =>
  (bytes, at) => {
    const lead = bytes[at] as number;
    const size = lead > 0x80 && at + 1 < bytes.length ? sizeOf(lead) : 1;
    return size === 1 ? 0 : size;
  };

/** Those of Shift_JIS, which also has katakana of one byte. */
export const SHIFT_JIS = wideCharacters((lead) => (isBetween(lead, 0xa0, 0xdf) || lead > 0xfc ? 1 : 2));
/** Those of EUC-JP, some of which have three bytes. */
export const EUC_JP = wideCharacters((lead) => {
  if (lead === 0x8f) return 3;
  return lead === 0x8e || isBetween(lead, 0xa1, 0xfe) ? 2 : 1;
});
/** Those of GBK, Big5, and the character sets of Korea. */
export const PAIRS = wideCharacters((lead) => (lead === 0xff ? 1 : 2));

/** A blank and the line break after it. */
export const SOFT_ENDS: Unwanted = (bytes, at) => {
  if (bytes[at] !== SPACE) return 0;
  if (bytes[at + 1] === LF) return 2;
  return bytes[at + 1] === CR && bytes[at + 2] === LF ? 3 : 0;
};
