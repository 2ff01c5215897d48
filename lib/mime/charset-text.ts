/** Decoding of short texts (names, parameters) from any character set that a mail program may know. */
import { isUtf8 } from 'node:buffer';
import { decodeCharset, isSupportedCharset } from '../utils/encoded-words.js';
import { fromEbcdic } from './ebcdic.js';
import { HZ_SHIFTS, SHIFTS, without, withoutNul } from './left-out.js';

const IMAP_LABEL = /imap/i;
/** Python takes any characters between letters and digits, and knows `u7`. */
const UTF7_LABEL = /utf[^a-z0-9]*7|^\W*u7\W*$/i;

/** Whether a label means the form of UTF-7 for the names of mailboxes (RFC 3501 5.1.3), as `x-imap4-modified-utf7` does. */
export const isImapUtf7 = (charset: string): boolean => IMAP_LABEL.test(charset);
/** Whether a label means UTF-7 (RFC 2152), which libmime refuses. */
export const isUtf7 = (charset: string): boolean => UTF7_LABEL.test(charset);

const PLUS = 0x2b;
const MINUS = 0x2d;
const VALUES = new Int8Array(128).fill(-1);
for (const [value, character] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries())
  VALUES[character.charCodeAt(0)] = value;

/** Decodes UTF-7 that has been read as latin1 or UTF-8. */
export function decodeUtf7(text: string): string {
  const units = new Uint16Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    units[length++] = code;
    if (code !== PLUS) continue;
    if (text.charCodeAt(at + 1) === MINUS) {
      at++;
      continue;
    }
    let bits = 0;
    let count = 0;
    let next = at + 1;
    for (
      let value = VALUES[text.charCodeAt(next)];
      value !== undefined && value >= 0;
      value = VALUES[text.charCodeAt(next)]
    ) {
      if (next === at + 1) length--; // the plus sign
      bits = ((bits << 6) | value) & 0x3fffff;
      count += 6;
      if (count >= 16) {
        count -= 16;
        units[length++] = bits >> count;
      }
      next++;
    }
    if (next > at + 1 && text.charCodeAt(next) === MINUS) next++;
    at = next - 1;
  }
  return Buffer.from(units.buffer, 0, 2 * length).toString('utf16le');
}

/** Whether a label means ASCII with the escapes of Python's strings, as `unicode_escape` does. */
export const isEscaped = (charset: string): boolean => charset.includes('escape');

const ESCAPE =
  /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([0-7]{1,3})|N\{LATIN (?:SMALL|CAPITAL) LETTER ([A-Z])\}|N\{(LESS-THAN SIGN|FULL STOP)\}|\n)/gi;

/** Decodes Python's escapes, as far as they stand for markup and names. */
export function decodeEscapes(text: string): string {
  return text.replace(ESCAPE, (_, two, four, eight, octal, letter, sign) => {
    if (letter !== undefined) return letter;
    if (sign !== undefined) return /^less/i.test(sign) ? '<' : '.';
    const hex = two ?? four ?? eight;
    const code = hex === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(hex, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : '';
  });
}

/** Labels that programs know of which {@link decodeText} decodes nothing: EBCDIC, HZ, and what Python takes for character sets. */
export const ODD_LABEL = /ebcdic|ibm|cp|escape|punycode|hz|^\d+$/i;

/** Bytes in a character set that {@link ODD_LABEL} means, as far as they stand for ASCII. */
export function decodeOdd(bytes: Buffer, charset: string): string {
  if (isEscaped(charset)) return decodeEscapes(bytes.toString('latin1'));
  if (charset.includes('punycode')) return bytes.toString('latin1', 0, Math.max(0, bytes.lastIndexOf('-')));
  if (charset.includes('hz')) return without(bytes, HZ_SHIFTS).toString('latin1');
  return fromEbcdic(bytes).toString('latin1');
}

/** UTF-16, UTF-32 and shift sequences of stateful character sets, when what is decoded is ASCII. */
export const asciiOf = (bytes: Buffer): string => without(withoutNul(bytes), SHIFTS).toString('latin1');

/** Decodes bytes in a character set that need not exist; then they are read as UTF-8 if they are, and otherwise as latin1. */
export function decodeText(bytes: Buffer, charset: string): string {
  if (isUtf7(charset)) return decodeUtf7(bytes.toString('latin1'));
  if (charset !== '' && isSupportedCharset(charset)) return decodeCharset(bytes, charset);
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
