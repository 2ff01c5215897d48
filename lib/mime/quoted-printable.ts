/** Content-Transfer-Encoding quoted-printable (RFC 2045 6.7). */
import type { ByteSource } from './byte-source.js';
import { inBlocks, sizeOf } from './chunks.js';
import { CR, LF, MAX_LINE_LENGTH, SPACE, TAB } from './lines.js';
import type { Allocate } from './reusable-buffer.js';

const EQUALS = 0x3d;
const DASH = 0x2d;

/** Bytes that are encoded at a time. */
const BLOCK_SIZE = 32 * 1024;

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** What the decoder has read: text, an equals sign, its first hexadecimal digit, blanks after it, or CR of a soft line break. */
enum State {
  Text,
  Equals,
  Digit,
  Blanks,
  SoftCr,
}

/** Keeps an `=` that does not begin an escape sequence. CRs and an LF are one line break, a CR without an LF is one too. */
export function decodeQuotedPrintable(chunks: readonly Uint8Array[], allocate: Allocate): Buffer {
  const decoded = allocate(sizeOf(chunks));
  let length = 0;
  let state = State.Text;
  /** Index of the last equals sign in `decoded`. If it begins an escape sequence, decoding continues there. */
  let equals = 0;
  let high = 0;
  /** CRs after the first one of a soft line break. They belong to it if an LF follows. */
  let moreCrs = 0;
  for (const chunk of chunks) {
    if (state === State.Text && !chunk.includes(EQUALS)) {
      decoded.set(chunk, length);
      length += chunk.length;
      continue;
    }
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (state === State.SoftCr) {
        if (byte === CR) {
          moreCrs++;
          continue;
        }
        state = State.Text;
        if (byte === LF) continue;
        decoded.fill(CR, length, length + moreCrs);
        length += moreCrs;
      } else if (state === State.Digit) {
        state = State.Text;
        const low = hexValue(byte);
        if (low >= 0) {
          length = equals;
          decoded[length++] = high * 16 + low;
          continue;
        }
      } else if (state !== State.Text) {
        if (byte === LF || byte === CR) {
          length = equals;
          state = byte === CR ? State.SoftCr : State.Text;
          moreCrs = 0;
          continue;
        }
        high = state === State.Equals ? hexValue(byte) : -1;
        if (high >= 0) state = State.Digit;
        else state = byte === SPACE || byte === TAB ? State.Blanks : State.Text;
      }
      if (state === State.Text && byte === EQUALS) {
        state = State.Equals;
        equals = length;
      }
      decoded[length++] = byte;
    }
  }
  if (state === State.Equals || state === State.Blanks) length = equals;
  if (state === State.SoftCr) {
    decoded.fill(CR, length, length + moreCrs);
    length += moreCrs;
  }
  return decoded.subarray(0, length);
}

const HEX_DIGITS = Buffer.from('0123456789ABCDEF');

/** An upper bound for the encoded length of `size` bytes. */
function maxEncodedLength(size: number, lineBreak: string): number {
  const softBreaks = Math.ceil((3 * size) / (MAX_LINE_LENGTH - 3));
  return 3 * size + softBreaks * (1 + lineBreak.length);
}

/** Encodes `size` bytes at most. */
export function quotedPrintableSource(
  size: number,
  content: () => Iterable<Uint8Array>,
  lineBreak: string,
): ByteSource {
  return {
    maxLength: maxEncodedLength(size, lineBreak),
    blocks: () => encodeQuotedPrintable(content(), lineBreak, Math.min(size, BLOCK_SIZE)),
  };
}

/**
 * Lines that are encoded as they are: short, without bytes to escape, and with the line break that is wanted. Most lines of
 * most text are such, and this finds their end faster than byte by byte.
 */
const plainLines = (lineBreak: string): RegExp =>
  new RegExp(`(?:(?:(?!-)[\\t -<>-~]{0,${MAX_LINE_LENGTH - 2}}[!-<>-~])?${lineBreak})*`, 'y');
const PLAIN_LINES: ReadonlyMap<string, RegExp> = new Map([
  ['\n', plainLines('\\n')],
  ['\r\n', plainLines('\\r\\n')],
]);

/** Whether a line break of the wanted kind is at `at`, and not a part of another kind. */
const BREAKS: ReadonlyMap<string, (bytes: Buffer, at: number) => boolean> = new Map([
  ['\n', (bytes, at) => bytes[at] === LF && bytes[at - 1] !== CR],
  ['\r', (bytes, at) => bytes[at] === CR && bytes[at + 1] !== LF],
  ['\r\n', (bytes, at) => bytes[at] === CR && bytes[at + 1] === LF],
]);

/**
 * Keeps line breaks equal to `lineBreak` and escapes all others, so that decoding restores the same bytes. Escapes a dash at
 * the beginning of a line, because content must not turn into a boundary.
 */
function* encodeQuotedPrintable(
  chunks: Iterable<Uint8Array>,
  lineBreak: string,
  size: number,
): Generator<Buffer> {
  const lineEnd = Buffer.from(lineBreak);
  const breaksAt = BREAKS.get(lineBreak) as (bytes: Buffer, at: number) => boolean;
  const plain = PLAIN_LINES.get(lineBreak);
  // Encoding a byte takes the one before it and the two after it, so the window overlaps two blocks.
  const window = Buffer.allocUnsafe(size + 3);
  const encoded = Buffer.allocUnsafe(maxEncodedLength(size + 3 + MAX_LINE_LENGTH, lineBreak));
  let next = 0;
  let lastColumn = 0;

  /** Encodes `bytes` from `next` to `end`. */
  function encodeTo(bytes: Buffer, end: number): Buffer {
    const from = next;
    const text = plain ? bytes.toString('latin1', from, end) : '';
    let length = 0;
    let column = lastColumn;
    let at = from;
    while (at < end) {
      if (column === 0 && plain) {
        plain.lastIndex = at - from;
        plain.test(text);
        length += bytes.copy(encoded, length, at, from + plain.lastIndex);
        at = from + plain.lastIndex;
        if (at === end) break;
      }
      const byte = bytes[at] as number;
      if ((byte === CR || byte === LF) && breaksAt(bytes, at)) {
        for (const each of lineEnd) encoded[length++] = each;
        column = 0;
        at += lineEnd.length;
        continue;
      }
      let isPlain = byte >= 0x21 && byte <= 0x7e && byte !== EQUALS;
      if (byte === SPACE || byte === TAB) isPlain = at + 1 < bytes.length && !breaksAt(bytes, at + 1);
      at++;
      if (column + (isPlain ? 1 : 3) >= MAX_LINE_LENGTH) {
        encoded[length++] = EQUALS;
        for (const each of lineEnd) encoded[length++] = each;
        column = 0;
      }
      if (isPlain && !(column === 0 && byte === DASH)) {
        encoded[length++] = byte;
        column++;
        continue;
      }
      encoded[length++] = EQUALS;
      encoded[length++] = HEX_DIGITS[byte >> 4] as number;
      encoded[length++] = HEX_DIGITS[byte & 0xf] as number;
      column += 3;
    }
    next = at;
    lastColumn = column;
    return encoded.subarray(0, length);
  }

  let bytes: Buffer = window.subarray(0, 0);
  for (const block of inBlocks(chunks, size)) {
    const begin = Math.max(0, next - 1);
    const kept = bytes.length - begin;
    window.copyWithin(0, begin, bytes.length);
    window.set(block, kept);
    bytes = window.subarray(0, kept + block.length);
    next -= begin;
    if (bytes.length - 2 > next) yield encodeTo(bytes, bytes.length - 2);
  }
  if (next < bytes.length) yield encodeTo(bytes, bytes.length);
}

/** Whether base64 is shorter than quoted-printable for these bytes. */
export function isSmallerAsBase64(bytes: Uint8Array): boolean {
  let escaped = 0;
  for (const byte of bytes) if (byte > 0x7e || byte === EQUALS) escaped++;
  return 5 * escaped > bytes.length;
}
