/** Values for header fields: encoded words (RFC 2047), folded (RFC 5322 2.2.3). */
import libmime from 'libmime';

/** The longest encoded word, without `=?utf-8?Q?` and `?=`; RFC 2047 2 allows 75 characters in all. */
const WORD = 52;
const LINE = 76;
/** ASCII, and bytes of a value that came with the message. */
const PLAIN = /^[\t\n\r\x20-\x7e\udc80-\udcff]*$/;

/** Encodes a value if it is not ASCII. */
export function encodeHeader(name: string, value: string): string {
  if (PLAIN.test(value)) return value;
  return libmime.foldLines(`${name}: ${libmime.encodeWords(value, 'Q', WORD)}`, LINE).slice(name.length + 2);
}
