/** Makes a header's value of any text: encoded words (RFC 2047) and folds. */
import libmime from 'libmime';
import { badArgument } from '../internal/errors.js';

/** Characters in a line that has encoded words (RFC 2047 2). */
const MAX_LINE = 76;
/** Room in the first line for the header's name, its colon and the space. */
const NAME_ROOM = 20;
/** Characters in an encoded word, so that it fits into the first line too. */
const MAX_ENCODED_WORD = MAX_LINE - NAME_ROOM - 1;
/** A longer word cannot be folded, and MTAs break lines of more than 998 characters. */
const MAX_PLAIN_WORD = 500;

/** Whether readers could take this word for something else, or it cannot stand in a header. Between two blanks it is empty. */
const needsEncoding = (word: string): boolean =>
  word === '' || word.length > MAX_PLAIN_WORD || word.includes('=?') || !/^[!-~]*$/.test(word);

/** How much longer the Q encoding may be, which people can read in part, before base64 is preferred. */
const Q_ALLOWANCE = 1.3;

/** The text in encoded words. */
function encodedWords(text: string): string {
  const [quoted, base64] = (['Q', 'B'] as const).map((encoding) =>
    libmime.encodeWord(text, encoding, MAX_ENCODED_WORD),
  ) as [string, string];
  return quoted.length < Q_ALLOWANCE * base64.length ? quoted : base64;
}

/** The indexes of the first word that is to be encoded, and of the last; null if none is. */
function spanToEncode(words: readonly string[]): [first: number, last: number] | null {
  let first = words.findIndex(needsEncoding);
  if (first < 0) return null;
  let last = words.findLastIndex(needsEncoding);
  // Blanks beside an encoded word are not part of it: blanks in a row need the words around them.
  if (words[first] === '' && first > 0) first--;
  if (words[last] === '' && last < words.length - 1) last++;
  return [first, last];
}

/** Folds before blanks, LF at the end of each line as MTAs expect it from a filter. */
function fold(value: string): string {
  const name = 'x'.repeat(NAME_ROOM);
  return libmime
    .foldLines(name + value, MAX_LINE, false)
    .slice(NAME_ROOM)
    .replaceAll('\r\n', '\n');
}

/**
 * Makes a header's value of any text, for `addheader` and `chgheader`: what is not ASCII becomes encoded words (RFC 2047, in
 * UTF-8), and long values are folded at 76 characters. ASCII text of ordinary length is returned as it is. {@link parseHeader} of
 * the result, unfolded, is the text again.
 *
 * Control characters, line breaks included, become blanks, and lone surrogates U+FFFD, so that no text can begin another
 * header. Use it for unstructured headers such as Subject, and for the display name of an address; not for addresses.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is not a string
 */
export function encodeHeader(text: string): string {
  if (typeof text !== 'string') throw badArgument(`encodeHeader: text must be a string, not ${typeof text}`);
  if (text === '') return '';
  // Through UTF-8, which has no lone surrogates.
  const words = Buffer.from(text.replace(/\p{Cc}/gu, ' '))
    .toString()
    .split(' ');
  const span = spanToEncode(words);
  if (!span) return fold(words.join(' '));
  const [first, last] = span;
  const encoded = encodedWords(words.slice(first, last + 1).join(' '));
  return fold([...words.slice(0, first), encoded, ...words.slice(last + 1)].join(' '));
}
