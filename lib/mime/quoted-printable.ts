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

/** What the decoder has read: text, an equals sign, its first hexadecimal digit, blanks after it, or the CR of a soft line break. */
enum State {
  Text,
  Equals,
  Digit,
  Blanks,
  SoftCr,
}

/** Keeps an `=` that does not begin an escape sequence. */
export function decodeQuotedPrintable(chunks: readonly Uint8Array[], allocate: Allocate): Buffer {
  const decoded = allocate(sizeOf(chunks));
  let length = 0;
  let state = State.Text;
  /** Index of the last equals sign in `decoded`. If it begins an escape sequence, decoding continues there. */
  let equals = 0;
  let high = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (state === State.SoftCr) {
        state = State.Text;
        if (byte === LF) continue;
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
 * Keeps line breaks equal to `lineBreak` and escapes all others, so that decoding restores the same bytes. Escapes a dash at
 * the beginning of a line, because content must not turn into a boundary.
 */
function* encodeQuotedPrintable(
  chunks: Iterable<Uint8Array>,
  lineBreak: string,
  size: number,
): Generator<Buffer> {
  const lineEnd = Buffer.from(lineBreak);
  const isCrlf = lineBreak === '\r\n';
  // Encoding a byte takes the one before it and the two after it, so the window overlaps two blocks.
  const window = Buffer.allocUnsafe(size + 3);
  let bytes: Buffer = window.subarray(0, 0);
  let at = 0;
  let column = 0;
  const encoded = Buffer.allocUnsafe(maxEncodedLength(size + 3 + MAX_LINE_LENGTH, lineBreak));
  const breaksAt = (index: number): boolean =>
    isCrlf ? bytes[index] === CR && bytes[index + 1] === LF : bytes[index] === LF && bytes[index - 1] !== CR;

  function encodeTo(end: number): Buffer {
    let length = 0;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if ((byte === CR || byte === LF) && breaksAt(at)) {
        for (const each of lineEnd) encoded[length++] = each;
        column = 0;
        at += lineEnd.length - 1;
        continue;
      }
      let plain = byte >= 0x21 && byte <= 0x7e && byte !== EQUALS;
      if (byte === SPACE || byte === TAB) plain = at + 1 < bytes.length && !breaksAt(at + 1);
      if (column + (plain ? 1 : 3) >= MAX_LINE_LENGTH) {
        encoded[length++] = EQUALS;
        for (const each of lineEnd) encoded[length++] = each;
        column = 0;
      }
      if (plain && !(column === 0 && byte === DASH)) {
        encoded[length++] = byte;
        column++;
        continue;
      }
      encoded[length++] = EQUALS;
      encoded[length++] = HEX_DIGITS[byte >> 4] as number;
      encoded[length++] = HEX_DIGITS[byte & 0xf] as number;
      column += 3;
    }
    return encoded.subarray(0, length);
  }

  for (const block of inBlocks(chunks, size)) {
    const begin = Math.max(0, at - 1);
    const kept = bytes.length - begin;
    window.copyWithin(0, begin, bytes.length);
    window.set(block, kept);
    bytes = window.subarray(0, kept + block.length);
    at -= begin;
    if (bytes.length - 2 > at) yield encodeTo(bytes.length - 2);
  }
  if (at < bytes.length) yield encodeTo(bytes.length);
}

/** Whether base64 is shorter than quoted-printable for these bytes. */
export function isSmallerAsBase64(bytes: Uint8Array): boolean {
  let escaped = 0;
  for (const byte of bytes) if (byte > 0x7e || byte === EQUALS) escaped++;
  return 5 * escaped > bytes.length;
}
