/** Encoded words in headers (RFC 2047). */
import libmime from 'libmime';

/** Limits of {@link parseHeader}. */
export interface ParseHeaderOptions {
  /** Longest value that is decoded, in characters; default 65536, what an MTA takes at most. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 65_536;
const ENCODED_WORD = /=\?([\w*-]+)\?([bq])\?([^?]*)\?=/gi;

/**
 * Decodes the encoded words of a header's value, `=?utf-8?q?J=C3=B6rg?=` to `Jörg` (pymilter's `parse_header`,
 * RFC 2047). Words that belong together are joined, also where a character is cut in two; missing base64 padding is
 * mended; folds are taken back. Bytes that their character set does not have become U+FFFD.
 *
 * The value comes back unchanged where it has no encoded words, where one of them cannot be decoded (an unknown
 * character set, base64 with a character too many), and where it is longer than `maxLength`. Nothing is thrown. What
 * was encoded may be any character, line ends and NUL too: do not put it into a header or a reply as it is.
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

/** RFC 2231 5: a language may follow the character set. */
function isKnown(charset: string): boolean {
  return libmime.createDecodeStream(charset.replace(/\*.*$/, '')).supported;
}

/** One character over a multiple of four is six bits of a lost byte; two or three only lack their padding. */
function isBase64(text: string): boolean {
  return text.replace(/[^A-Za-z0-9+/]/g, '').length % 4 !== 1;
}
