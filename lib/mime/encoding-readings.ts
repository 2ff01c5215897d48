/**
 * The readings of an encoding: what a Content-Transfer-Encoding may mean, and what encoded content may decode to.
 *
 * Programs agree on content that follows RFC 2045. They differ in what they do with an unknown encoding, with padding in the
 * middle of base64, with the alphabet for URLs, and with an `=` that begins no escape sequence. Many do not know uuencode, and many
 * ignore the encoding of a message, which must have none (RFC 2046 5.2.1).
 */
import { decodeBase64 } from './base64.js';
import { joinChunks, sizeOf } from './chunks.js';
import { CR, LF, SPACE, TAB } from './lines.js';
import { decodeQuotedPrintable } from './quoted-printable.js';
import { decodeWithin, isDecodable } from './transfer-encoding.js';

const IDENTITY: ReadonlySet<string> = new Set(['', '7bit', '8bit', 'binary']);

/** Whether an encoding leaves the content as it is (RFC 2045 6.2). */
export const isIdentity = (encoding: string): boolean => IDENTITY.has(encoding);

/** The encodings of RFC 2045, which all programs know. */
const EVERYBODYS: ReadonlySet<string> = new Set([...IDENTITY, 'base64', 'quoted-printable']);

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
 * @param mayBeIgnored whether some programs take the content as it is, whatever the fields say
 */
export function encodingsOf(values: readonly string[], mayBeIgnored: boolean): string[] {
  const [first = ''] = values;
  if (values.length <= 1 && !mayBeIgnored && EVERYBODYS.has(first)) return [isIdentity(first) ? '' : first];
  const found = new Set<string>();
  for (const value of values.length > 0 ? values : ['']) {
    if (isDecodable(value)) {
      found.add(isIdentity(value) ? '' : value);
      if (!EVERYBODYS.has(value)) found.add('');
      continue;
    }
    const letters = value.replace(/[^a-z0-9]/g, '');
    for (const [pattern, encoding] of KINDS) if (pattern.test(letters)) found.add(encoding);
    found.add('');
  }
  if (mayBeIgnored) found.add('');
  return [...found];
}

const EQUALS = 0x3d;

const isHexDigit = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66));

/** What stands for each byte; 0 for one that is left out. */
function tableOf(kept: string, replaced: readonly (readonly [from: string, to: string])[] = []): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of Buffer.from(kept)) table[byte] = byte;
  for (const [from, to] of replaced) table[from.charCodeAt(0)] = to.charCodeAt(0);
  return table;
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64 = tableOf(DIGITS);
/** The alphabet for URLs (RFC 4648 5), whose last two digits are others. */
const URL_DIGITS = [
  ['-', '+'],
  ['_', '/'],
] as const;
const URL_BASE64 = tableOf(DIGITS, URL_DIGITS);
const PADDED_URL_BASE64 = tableOf(`${DIGITS}=`, URL_DIGITS);

/** Decodes the base64 that a table makes of the body. */
function decodeTranslated(body: readonly Buffer[], table: Uint8Array): Buffer {
  const digits = Buffer.allocUnsafe(sizeOf(body));
  let length = 0;
  for (const chunk of body) {
    for (let at = 0; at < chunk.length; at++) {
      const digit = table[chunk[at] as number] as number;
      if (digit !== 0) digits[length++] = digit;
    }
  }
  return decodeBase64([digits.subarray(0, length)], Buffer.allocUnsafe);
}

/** Whether a digit of base64 follows padding. */
function hasInnerPadding(body: readonly Buffer[]): boolean {
  let padded = false;
  for (const chunk of body) {
    const first = padded ? 0 : chunk.indexOf(EQUALS);
    if (first < 0) continue;
    padded = true;
    for (let at = first; at < chunk.length; at++) if (BASE64[chunk[at] as number] !== 0) return true;
  }
  return false;
}

/** Other readings of base64: with the alphabet for URLs, and with padding in the middle skipped. */
function* otherBase64(body: readonly Buffer[]): Generator<Buffer> {
  const hasPadding = hasInnerPadding(body);
  const hasUrlAlphabet = body.some((chunk) => chunk.includes('-') || chunk.includes('_'));
  if (hasPadding) yield decodeTranslated(body, BASE64);
  if (!hasUrlAlphabet) return;
  yield decodeTranslated(body, URL_BASE64);
  if (hasPadding) yield decodeTranslated(body, PADDED_URL_BASE64);
}

/** Whether the `=` at `at` begins neither an escape sequence nor a soft line break. At the end, it may if more follows. */
function isStray(bytes: Buffer, at: number, moreFollows: boolean): boolean {
  if (isHexDigit(bytes[at + 1]) && isHexDigit(bytes[at + 2])) return false;
  let end = at + 1;
  while (bytes[end] === SPACE || bytes[end] === TAB) end++;
  return end === bytes.length ? !moreFollows : bytes[end] !== CR && bytes[end] !== LF;
}

function hasStrayEquals(body: readonly Buffer[]): boolean {
  for (const [index, chunk] of body.entries()) {
    for (let at = chunk.indexOf(EQUALS); at >= 0; at = chunk.indexOf(EQUALS, at + 1))
      if (isStray(chunk, at, index < body.length - 1)) return true;
  }
  return false;
}

/** The index of the next `=` before a CR that no LF follows, or -1. */
function loneSoftCr(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf('=\r', from); at >= 0; at = bytes.indexOf('=\r', at + 1))
    if (bytes[at + 2] !== LF) return at;
  return -1;
}

/** Without what stands between a lone CR that breaks a line softly and the next LF: such a line break ends there for some programs. */
function withoutSoftLines(bytes: Buffer): Buffer | null {
  const pieces: Buffer[] = [];
  let done = 0;
  for (let at = loneSoftCr(bytes, 0); at >= 0; at = loneSoftCr(bytes, done)) {
    pieces.push(bytes.subarray(done, at));
    const end = bytes.indexOf(LF, at);
    done = end < 0 ? bytes.length : end + 1;
  }
  return done === 0 ? null : Buffer.concat([...pieces, bytes.subarray(done)]);
}

/** Other readings of quoted-printable: with soft line breaks up to the next LF, and without each `=` that begins no escape sequence. */
function* otherQuotedPrintable(body: readonly Buffer[]): Generator<Buffer> {
  const hasStray = hasStrayEquals(body);
  if (!hasStray && !body.some((chunk) => loneSoftCr(chunk, 0) >= 0)) return;
  const bytes = joinChunks(body);
  const joined = withoutSoftLines(bytes);
  if (joined) yield decodeQuotedPrintable([joined], Buffer.allocUnsafe);
  if (!hasStray) return;
  const kept = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte !== EQUALS || !isStray(bytes, at, false)) kept[length++] = byte;
  }
  yield decodeQuotedPrintable([kept.subarray(0, length)], Buffer.allocUnsafe);
}

/**
 * The contents that `body` may decode to, besides the usual decoding from the first of `encodings`.
 *
 * @throws MilterError ERR_MILTER_MIME_LIMIT if one has more than `maxDecoded` bytes
 */
export function* otherContents(
  body: readonly Buffer[],
  encodings: readonly string[],
  maxDecoded: number,
): Generator<Buffer> {
  const [usual] = encodings;
  for (const encoding of encodings) {
    if (encoding !== usual) yield decodeWithin(maxDecoded, encoding, body) as Buffer;
    if (encoding === 'base64') yield* otherBase64(body);
    if (encoding === 'quoted-printable') yield* otherQuotedPrintable(body);
  }
}
