/** Encoded words (RFC 2047), decoded word by word. */
import { createDecodeStream, decode } from 'libmime/lib/charset.js';
import { encodeBytes } from '../internal/bytes.js';

/** How {@link decodeWords} reads a word. */
export interface WordReader {
  /** Finds the words: the groups are charset, `b` or `q`, and text. It must have the flags g and i. */
  readonly pattern: RegExp;
  /** The bytes of a word in base64, or null if the word is to stay as it is. */
  base64(text: string): Buffer | null;
  /** Whether words in this character set are decoded. Others stay as they are. */
  knows(charset: string): boolean;
  /** The text of the bytes. */
  decode(bytes: Buffer, charset: string): string;
}

const HEX = /=([0-9a-f]{2})/gi;

/** The bytes of a word in the Q encoding (RFC 2047 4.2). Raw bytes in it are taken as they are. */
export function decodeQ(text: string): Buffer {
  const bytes = encodeBytes(text.replaceAll('_', ' '));
  if (!bytes.includes(0x3d)) return bytes;
  const decoded = bytes
    .toString('latin1')
    .replace(HEX, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(decoded, 'latin1');
}

/** Without the language that may follow the name of a character set (RFC 2231 5). */
const withoutLanguage = (charset: string): string => charset.replace(/\*.*$/, '').toLowerCase();

/**
 * Decodes every word that `reader` can read and leaves all other text as it is. Blanks between two decoded words are removed,
 * and adjacent words in one character set are joined before they are decoded, because a character may be split between them.
 */
export function decodeWords(value: string, reader: WordReader): string {
  const pieces: string[] = [];
  let done = 0;
  /** Adjacent words. They are decoded together only, because decoding a word costs much more than finding it. */
  let run = null as { readonly charset: string; readonly bytes: Buffer[] } | null;
  const finishRun = () => {
    if (!run) return;
    const [first] = run.bytes;
    const bytes = run.bytes.length === 1 ? (first as Buffer) : Buffer.concat(run.bytes);
    pieces.push(reader.decode(bytes, run.charset));
  };
  for (const { 0: word, 1: label = '', 2: encoding = '', 3: text = '', index } of value.matchAll(
    reader.pattern,
  )) {
    const charset = withoutLanguage(label);
    if (!reader.knows(charset)) continue;
    const bytes = encoding.toLowerCase() === 'b' ? reader.base64(text) : decodeQ(text);
    if (bytes === null) continue;
    const between = value.slice(done, index);
    const adjacent = run !== null && /^\s*$/.test(between);
    if (adjacent && run?.charset === charset) run.bytes.push(bytes);
    else {
      finishRun();
      if (!adjacent) pieces.push(between);
      run = { charset, bytes: [bytes] };
    }
    done = index + word.length;
  }
  finishRun();
  pieces.push(value.slice(done));
  return pieces.join('');
}

const supported = new Map<string, boolean>();
const MAX_REMEMBERED = 200;

/** Whether a character set is supported. The answers are remembered, because asking takes longer than decoding a word. */
export function isSupportedCharset(charset: string): boolean {
  const known = supported.get(charset);
  if (known !== undefined) return known;
  const answer = createDecodeStream(charset).supported;
  if (supported.size >= MAX_REMEMBERED) supported.clear();
  supported.set(charset, answer);
  return answer;
}

/** Decodes bytes in a character set that {@link isSupportedCharset} knows. Invalid bytes become U+FFFD. */
export function decodeCharset(bytes: Buffer, charset: string): string {
  if (charset === 'utf-8' || charset === 'us-ascii') return bytes.toString('utf8');
  return decode(bytes, charset);
}
