/** Content-Transfer-Encodings (RFC 2045 6). Decoding takes what mail programs take, and never throws. */
import type { ByteSource } from './byte-source.js';
import { CR, LF, lineEnd, SPACE, skipLineBreak, TAB } from './lines.js';
import { joinChunks } from './paged-buffer.js';

const EQUALS = 0x3d;
const DASH = 0x2d;

const MAX_LINE_LENGTH = 76;
/** What base64 makes a line of, and how many lines at a time. */
const BYTES_OF_A_LINE = (MAX_LINE_LENGTH / 4) * 3;
const LINES_OF_A_BLOCK = 1000;

const BASE64_VALUES = new Int8Array(256).fill(-1);
for (const [value, character] of Array.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
).entries())
  BASE64_VALUES[character.charCodeAt(0)] = value;

/** Gives memory for that many bytes, or more. */
export type Room = (size: number) => Buffer;

const sizeOf = (chunks: readonly Uint8Array[]): number => chunks.reduce((sum, { length }) => sum + length, 0);

/** Whatever is not of the alphabet is skipped; text behind a padding is decoded as well, unlike by Buffer.from. */
function decodeBase64(chunks: readonly Uint8Array[], room: Room): Buffer {
  const decoded = room(Math.ceil((sizeOf(chunks) * 3) / 4));
  let length = 0;
  let bits = 0;
  let count = 0;
  for (const chunk of chunks) {
    for (const byte of chunk) {
      const value = BASE64_VALUES[byte] as number;
      if (value >= 0) {
        bits = ((bits << 6) | value) & 0xfff;
        count += 6;
        if (count >= 8) {
          count -= 8;
          decoded[length++] = (bits >> count) & 0xff;
        }
      } else if (byte === EQUALS) {
        count = 0;
      }
    }
  }
  return decoded.subarray(0, length);
}

/** The same bytes in blocks of that size; only the last one may be shorter. A block is valid until the next one. */
function* inBlocks(chunks: Iterable<Uint8Array>, size: number): Generator<Buffer> {
  const block = Buffer.allocUnsafe(size);
  let used = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + size - used);
      block.set(part, used);
      used += part.length;
      at += part.length;
      if (used < size) continue;
      yield block;
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}

/** In lines of 76 characters, each ended by `lineBreak`. */
function* encodeBase64(chunks: Iterable<Uint8Array>, lineBreak: string, block: number): Generator<Buffer> {
  const encoded = Buffer.allocUnsafe(
    Math.ceil(block / BYTES_OF_A_LINE) * (MAX_LINE_LENGTH + lineBreak.length),
  );
  // In blocks: strings of the whole would be several copies of it.
  for (const bytes of inBlocks(chunks, block)) {
    const text = bytes.toString('base64');
    const lines: string[] = [];
    for (let begin = 0; begin < text.length; begin += MAX_LINE_LENGTH)
      lines.push(text.slice(begin, begin + MAX_LINE_LENGTH), lineBreak);
    yield encoded.subarray(0, encoded.write(lines.join(''), 'latin1'));
  }
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Where decoding is: in text, behind an equals sign, its first digit, or its blanks, or behind the CR of a soft line break. */
enum Quoted {
  Text,
  Equals,
  Digit,
  Blanks,
  SoftCr,
}

/** An `=` that begins nothing is kept. */
function decodeQuotedPrintable(chunks: readonly Uint8Array[], room: Room): Buffer {
  const decoded = room(sizeOf(chunks));
  let length = 0;
  let state = Quoted.Text;
  /** Where the equals sign stands in `decoded`: what is written from there on goes if it begins something. */
  let equals = 0;
  let high = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (state === Quoted.SoftCr) {
        state = Quoted.Text;
        if (byte === LF) continue;
      } else if (state === Quoted.Digit) {
        state = Quoted.Text;
        const low = hexValue(byte);
        if (low >= 0) {
          length = equals;
          decoded[length++] = high * 16 + low;
          continue;
        }
      } else if (state !== Quoted.Text) {
        if (byte === LF || byte === CR) {
          length = equals;
          state = byte === CR ? Quoted.SoftCr : Quoted.Text;
          continue;
        }
        high = state === Quoted.Equals ? hexValue(byte) : -1;
        if (high >= 0) state = Quoted.Digit;
        else state = byte === SPACE || byte === TAB ? Quoted.Blanks : Quoted.Text;
      }
      if (state === Quoted.Text && byte === EQUALS) {
        state = Quoted.Equals;
        equals = length;
      }
      decoded[length++] = byte;
    }
  }
  if (state === Quoted.Equals || state === Quoted.Blanks) length = equals;
  return decoded.subarray(0, length);
}

const HEX_DIGITS = Buffer.from('0123456789ABCDEF');

/** Bytes that quoted-printable is made of at a time. */
const QUOTED_BLOCK = 32 * 1024;

/** The longest that quoted-printable can get. */
function maxQuotedPrintableLength(size: number, lineBreak: string): number {
  const softBreaks = Math.ceil((3 * size) / (MAX_LINE_LENGTH - 3));
  return 3 * size + softBreaks * (1 + lineBreak.length);
}

/**
 * Line breaks like `lineBreak` stay line breaks, other ones are encoded, so that decoding gives the same bytes. A dash
 * at the beginning of a line is encoded: content must not turn into a boundary.
 */
function* encodeQuotedPrintable(
  chunks: Iterable<Uint8Array>,
  lineBreak: string,
  size: number,
): Generator<Buffer> {
  const lineEnd = Buffer.from(lineBreak);
  const isCrlf = lineBreak === '\r\n';
  // A byte is read together with the one ahead of it and the two behind it, so those of two blocks are read together.
  const window = Buffer.allocUnsafe(size + 3);
  let bytes: Buffer = window.subarray(0, 0);
  let at = 0;
  let column = 0;
  const encoded = Buffer.allocUnsafe(maxQuotedPrintableLength(size + 3 + MAX_LINE_LENGTH, lineBreak));
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

/**
 * Content in base64 or quoted-printable, made while it is written.
 *
 * @param size of the content; it may be less
 */
export function encoded(
  encoding: 'base64' | 'quoted-printable',
  size: number,
  content: () => Iterable<Uint8Array>,
  lineBreak: string,
): ByteSource {
  if (encoding === 'quoted-printable') {
    return {
      most: maxQuotedPrintableLength(size, lineBreak),
      blocks: () => encodeQuotedPrintable(content(), lineBreak, Math.min(size, QUOTED_BLOCK)),
    };
  }
  const lines = Math.ceil(size / BYTES_OF_A_LINE);
  return {
    most: lines * (MAX_LINE_LENGTH + lineBreak.length),
    blocks: () => encodeBase64(content(), lineBreak, Math.min(lines, LINES_OF_A_BLOCK) * BYTES_OF_A_LINE),
  };
}

/** Whether quoted-printable would make more of it than base64. */
export function isSmallerAsBase64(bytes: Uint8Array): boolean {
  let escaped = 0;
  for (const byte of bytes) if (byte > 0x7e || byte === EQUALS) escaped++;
  return 5 * escaped > bytes.length;
}

/**
 * The lines between `begin` and `end`, or all where there is no `begin`. Blanks at the end of a line may be lost, so two bytes
 * may stand for 63: decoding ends soon behind `most`.
 */
function decodeUuencoded(chunks: readonly Buffer[], room: Room, most: number): Buffer {
  const bytes = joinChunks(chunks);
  let begin = 0;
  let size = 0;
  let at = 0;
  while (at < bytes.length && size <= most) {
    const end = lineEnd(bytes, at);
    const text = bytes.toString('latin1', at, Math.min(end, at + 6));
    if (text.trimEnd() === 'end') break;
    if (text !== 'begin ') size += end > at ? sixBits(bytes, at, end) : 0;
    at = skipLineBreak(bytes, end);
    if (text !== 'begin ') continue;
    begin = at;
    size = 0;
  }
  const decoded = room(size);
  let length = 0;
  for (const last = at; begin < last; ) {
    const end = lineEnd(bytes, begin);
    if (end > begin) length = uudecodeLine(bytes, begin, end, decoded, length);
    begin = skipLineBreak(bytes, end);
  }
  return decoded.subarray(0, length);
}

/** The value of the character at `at`: of a blank, where the line ends ahead of it. */
const sixBits = (bytes: Buffer, at: number, end: number): number =>
  at < end ? ((bytes[at] as number) - SPACE) & 0x3f : 0;

/** Decodes the line from `begin` to `end`. @returns the length of what is decoded */
function uudecodeLine(bytes: Buffer, begin: number, end: number, decoded: Buffer, from: number): number {
  const count = sixBits(bytes, begin, end);
  for (let done = 0, at = begin + 1; done < count; done += 3, at += 4) {
    const bits =
      (sixBits(bytes, at, end) << 18) |
      (sixBits(bytes, at + 1, end) << 12) |
      (sixBits(bytes, at + 2, end) << 6) |
      sixBits(bytes, at + 3, end);
    for (let index = 0; index < 3 && done + index < count; index++)
      decoded[from + done + index] = (bits >> (16 - 8 * index)) & 0xff;
  }
  return from + count;
}

type Decoder = (chunks: readonly Buffer[], room: Room, most: number) => Buffer;

const DECODERS: ReadonlyMap<string, Decoder | null> = new Map<string, Decoder | null>([
  ['', null],
  ['7bit', null],
  ['8bit', null],
  ['binary', null],
  ['base64', decodeBase64],
  ['quoted-printable', decodeQuotedPrintable],
  ['uuencode', decodeUuencoded],
  ['x-uuencode', decodeUuencoded],
  ['uue', decodeUuencoded],
  ['x-uue', decodeUuencoded],
]);

/** Whether {@link decodeContent} knows the encoding. */
export const isDecodable = (encoding: string): boolean => DECODERS.has(encoding);

/**
 * The content behind an encoding, or null where the encoding is unknown. What is not encoded comes as it is.
 *
 * @param room where to decode to
 * @param most an encoding that makes more of its bytes need not be decoded beyond this. Default: no end
 */
export function decodeContent(
  encoding: string,
  chunks: readonly Buffer[],
  room: Room = Buffer.allocUnsafe,
  most = Number.POSITIVE_INFINITY,
): Buffer | null {
  const decode = DECODERS.get(encoding);
  if (decode === undefined) return null;
  if (decode) return decode(chunks, room, most);
  if (chunks.length === 1) return chunks[0] as Buffer;
  const content = room(sizeOf(chunks));
  let length = 0;
  for (const chunk of chunks) {
    content.set(chunk, length);
    length += chunk.length;
  }
  return content.subarray(0, length);
}
