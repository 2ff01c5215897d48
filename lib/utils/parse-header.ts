/** Decodes encoded words in headers (RFC 2047). */
import { decodeCharset, decodeWords, isSupportedCharset, type WordReader } from './encoded-words.js';

/** Limits of {@link parseHeader}. */
export interface ParseHeaderOptions {
  /** Maximum length of a value that is decoded, in characters. Default: 65,536, the most that an MTA accepts. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 65_536;

/** A word is decoded if its character set is known and its base64 is complete but for padding. */
const READER: WordReader = {
  pattern: /=\?([\w*.:+-]+)\?([bq])\?([^?]*)\?=/gi,
  base64(text) {
    // One character after a multiple of four is an incomplete byte; two or three lack only padding.
    const digits = text.replace(/[^A-Za-z0-9+/]/g, '');
    return digits.length % 4 === 1 ? null : Buffer.from(digits, 'base64');
  },
  knows: isSupportedCharset,
  decode: decodeCharset,
};

/**
 * Decodes the encoded words in a header's value, such as `=?utf-8?q?J=C3=B6rg?=` for `Jörg` (pymilter's `parse_header`,
 * RFC 2047), word by word: a word that cannot be decoded (an unknown character set, base64 of an impossible length) stays as
 * it is, and all others are decoded. Adjacent words are joined before they are decoded, because a character may be split
 * between them. Missing base64 padding is accepted, a raw byte in a word is read in the word's character set, and the value is
 * unfolded. Bytes that are invalid in their character set become U+FFFD.
 *
 * The value is returned unchanged if no word in it can be decoded, or if it is longer than `maxLength`. Nothing is thrown. The
 * decoded text may contain any character, including line breaks and NUL, so do not use it in a header or a reply without
 * checking it.
 */
export function parseHeader(value: string, options: ParseHeaderOptions = {}): string {
  if (value.length > (options.maxLength ?? MAX_LENGTH) || !value.includes('=?')) return value;
  const unfolded = value.replace(/\r?\n(?=[ \t])/g, '').replaceAll('\t', ' ');
  const decoded = decodeWords(unfolded, READER);
  return decoded === unfolded ? value : decoded;
}
