/** Decoding of short texts (names, parameters) from any character set that a mail program may know. */
import { isUtf8 } from 'node:buffer';
import { decodeCharset, isSupportedCharset } from '../utils/encoded-words.js';

const UTF7_LABEL = /utf-?7/i;
const SHIFT = /\+([A-Za-z0-9+/]*)-?/g;

/** Whether a label means UTF-7 (RFC 2152), which libmime refuses. */
export const isUtf7 = (charset: string): boolean => UTF7_LABEL.test(charset);

/** Decodes UTF-7 that has been read as latin1 or UTF-8. */
export function decodeUtf7(text: string): string {
  return text.replace(SHIFT, (whole, base64: string) => {
    if (base64 === '') return whole === '+-' ? '+' : whole;
    const bytes = Buffer.from(base64, 'base64');
    const units = bytes.subarray(0, bytes.length & ~1);
    return Buffer.from(units).swap16().toString('utf16le');
  });
}

/** Decodes bytes in a character set that need not exist; then they are read as UTF-8 if they are, and otherwise as latin1. */
export function decodeText(bytes: Buffer, charset: string): string {
  if (isUtf7(charset)) return decodeUtf7(bytes.toString('latin1'));
  if (charset !== '' && isSupportedCharset(charset)) return decodeCharset(bytes, charset);
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

/** The sequences by which ISO-2022 switches between character sets (ECMA-35), and the controls for the same purpose. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const SHIFTS = /\x1b[ -/]*[0-~]|[\x0e\x0f]/g;

/** Removes what switches between character sets, which leaves the ASCII in a text as it is read. */
export const withoutShifts = (text: string): string => text.replace(SHIFTS, '');
