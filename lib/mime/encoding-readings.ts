/**
 * The readings of an encoding: what a Content-Transfer-Encoding may mean, and what encoded content may decode to.
 *
 * Programs agree on content that follows RFC 2045. They differ in what they do with an unknown encoding, with padding in the
 * middle of base64, with the alphabet for URLs, and with an `=` that begins no escape sequence.
 */
import { joinChunks } from './chunks.js';
import { CR, LF, SPACE, TAB } from './lines.js';
import { decodeContent, isDecodable } from './transfer-encoding.js';

const IDENTITY: ReadonlySet<string> = new Set(['', '7bit', '8bit', 'binary']);

/** Whether an encoding leaves the content as it is (RFC 2045 6.2). */
export const isIdentity = (encoding: string): boolean => IDENTITY.has(encoding);

const KINDS: readonly (readonly [pattern: RegExp, encoding: string])[] = [
  [/base64/, 'base64'],
  [/quoted|printable/, 'quoted-printable'],
  [/uu/, 'x-uuencode'],
];

/**
 * The encodings that a program may decode from; the usual one comes first. Without a reading that decodes, the content is
 * taken as it is.
 *
 * @param values of all Content-Transfer-Encoding fields, in lower case
 * @param isAmbiguous whether some programs may not see the fields
 */
export function encodingsOf(values: readonly string[], isAmbiguous: boolean): string[] {
  const [first = ''] = values;
  if (values.length <= 1 && !isAmbiguous && isDecodable(first)) return [isIdentity(first) ? '' : first];
  const found = new Set<string>();
  for (const value of values.length > 0 ? values : ['']) {
    if (isDecodable(value)) {
      found.add(isIdentity(value) ? '' : value);
      continue;
    }
    const letters = value.replace(/[^a-z0-9]/g, '');
    for (const [pattern, encoding] of KINDS) if (pattern.test(letters)) found.add(encoding);
    found.add('');
  }
  if (isAmbiguous) found.add('');
  return [...found];
}

const EQUALS = 0x3d;

const isBase64Digit = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) ||
  ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) ||
  byte === 0x2b ||
  byte === 0x2f;
const isHexDigit = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66));

/** Whether a digit of base64 follows padding. */
function hasInnerPadding(body: readonly Buffer[]): boolean {
  let padded = false;
  for (const chunk of body) {
    const first = padded ? 0 : chunk.indexOf(EQUALS);
    if (first < 0) continue;
    padded = true;
    for (let at = first; at < chunk.length; at++) if (isBase64Digit(chunk[at] as number)) return true;
  }
  return false;
}

/** Other readings of base64: with the alphabet for URLs, and with padding in the middle skipped. */
function* otherBase64(body: readonly Buffer[]): Generator<Buffer> {
  const hasPadding = hasInnerPadding(body);
  const hasUrlAlphabet = body.some((chunk) => chunk.includes('-') || chunk.includes('_'));
  if (!hasPadding && !hasUrlAlphabet) return;
  const text = joinChunks(body).toString('latin1');
  if (hasPadding) yield Buffer.from(text.replace(/[^A-Za-z0-9+/]/g, ''), 'base64');
  if (!hasUrlAlphabet) return;
  yield Buffer.from(text.replace(/[^\w+/-]/g, ''), 'base64');
  if (!hasPadding) return;
  const digits = text.replaceAll('-', '+').replaceAll('_', '/');
  yield decodeContent('base64', [Buffer.from(digits, 'latin1')]) as Buffer;
}

/** Whether an `=` begins neither an escape sequence nor a soft line break. At the end of a chunk, it may. */
function hasStrayEquals(body: readonly Buffer[]): boolean {
  for (const [index, chunk] of body.entries()) {
    for (let at = chunk.indexOf(EQUALS); at >= 0; at = chunk.indexOf(EQUALS, at + 1)) {
      if (isHexDigit(chunk[at + 1]) && isHexDigit(chunk[at + 2])) continue;
      let end = at + 1;
      while (chunk[end] === SPACE || chunk[end] === TAB) end++;
      if (end === chunk.length ? index < body.length - 1 : chunk[end] !== CR && chunk[end] !== LF)
        return true;
    }
  }
  return false;
}

/** Another reading of quoted-printable: without each `=` that begins no escape sequence. */
function* otherQuotedPrintable(body: readonly Buffer[]): Generator<Buffer> {
  if (!hasStrayEquals(body)) return;
  const text = joinChunks(body).toString('latin1');
  const cleaned = text.replace(/=(?![0-9A-Fa-f]{2}|[ \t]*[\r\n])/g, '');
  yield decodeContent('quoted-printable', [Buffer.from(cleaned, 'latin1')]) as Buffer;
}

/** The contents that `body` may decode to, besides the usual decoding from the first of `encodings`. */
export function* otherContents(body: readonly Buffer[], encodings: readonly string[]): Generator<Buffer> {
  const [usual] = encodings;
  for (const encoding of encodings) {
    if (encoding !== usual) yield decodeContent(encoding, body) as Buffer;
    if (encoding === 'base64') yield* otherBase64(body);
    if (encoding === 'quoted-printable') yield* otherQuotedPrintable(body);
  }
}
