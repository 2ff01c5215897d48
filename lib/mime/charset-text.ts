/** Decoding of short texts (names, parameters) from any character set that a mail program may know. */
import { isUtf8 } from 'node:buffer';
import { decodeCharset, isSupportedCharset } from '../utils/encoded-words.js';

const IMAP_LABEL = /imap/i;
const UTF7_LABEL = /utf-?7/i;

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

/** Decodes bytes in a character set that need not exist; then they are read as UTF-8 if they are, and otherwise as latin1. */
export function decodeText(bytes: Buffer, charset: string): string {
  if (isUtf7(charset)) return decodeUtf7(bytes.toString('latin1'));
  if (charset !== '' && isSupportedCharset(charset)) return decodeCharset(bytes, charset);
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}
