/** Decodes encoded words in headers (RFC 2047). */
import libmime from 'libmime';

/** Limits of {@link parseHeader}. */
export interface ParseHeaderOptions {
  /** Maximum length of a value that is decoded, in characters. Default: 65,536, the most that an MTA accepts. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 65_536;
const ENCODED_WORD = /=\?([\w*-]+)\?([bq])\?([^?]*)\?=/gi;

/**
 * Decodes the encoded words in a header's value, such as `=?utf-8?q?J=C3=B6rg?=` for `Jörg` (pymilter's `parse_header`,
 * RFC 2047). Adjacent words are joined before they are decoded, because a character may be split between them. Missing base64
 * padding is accepted, and the value is unfolded. Bytes that are invalid in their character set become U+FFFD.
 *
 * The value is returned unchanged if it has no encoded words, if one of them cannot be decoded (an unknown character set,
 * base64 of an impossible length), or if it is longer than `maxLength`. Nothing is thrown. The decoded text may contain any
 * character, including line breaks and NUL, so do not use it in a header or a reply without checking it.
 */
export function parseHeader(value: string, options: ParseHeaderOptions = {}): string {
  if (value.length > (options.maxLength ?? MAX_LENGTH)) return value;
  const words = [...value.matchAll(ENCODED_WORD)];
  const decodable = words.every(([, charset = '', encoding = '', text = '']) =>
    encoding.toLowerCase() === 'b' ? isKnown(charset) && isBase64(text) : isKnown(charset),
  );
  if (words.length === 0 || !decodable) return value;
  return libmime.decodeWords(value.replace(/\r?\n(?=[ \t])/g, '').replaceAll('\t', ' '));
}

/** Whether a character set is supported. A language may follow its name (RFC 2231 5). */
function isKnown(charset: string): boolean {
  return libmime.createDecodeStream(charset.replace(/\*.*$/, '')).supported;
}

/** Whether the length is possible. One character after a multiple of four is an incomplete byte; two or three lack only padding. */
function isBase64(text: string): boolean {
  return text.replace(/[^A-Za-z0-9+/]/g, '').length % 4 !== 1;
}
