/** Content-Transfer-Encodings (RFC 2045 6). Decoding takes what mail programs take, and never throws. */
import { behindBreak, CR, LF, lineEnd, SPACE, TAB } from './lines.js';
import { ByteStore } from './store.js';

const EQUALS = 0x3d;
const DASH = 0x2d;

const LONGEST_LINE = 76;
/** What base64 makes a thousand lines of. */
const BYTES_OF_A_BLOCK = 1000 * (LONGEST_LINE / 4) * 3;

const BASE64_VALUES = new Int8Array(256).fill(-1);
for (const [value, character] of Array.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
).entries())
  BASE64_VALUES[character.charCodeAt(0)] = value;

/** Whatever is not of the alphabet is skipped; text behind a padding is decoded as well, unlike by Buffer.from. */
export function decodeBase64(bytes: Uint8Array): Buffer {
  const decoded = Buffer.allocUnsafe(Math.ceil((bytes.length * 3) / 4));
  let length = 0;
  let bits = 0;
  let count = 0;
  for (const byte of bytes) {
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
  return decoded.subarray(0, length);
}

/** In lines of 76 characters, each ended by `lineBreak`. */
export function encodeBase64(bytes: Uint8Array, lineBreak: string): Buffer {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const encoded = new ByteStore();
  // In blocks: strings of the whole would be several copies of it.
  for (let at = 0; at < content.length; at += BYTES_OF_A_BLOCK) {
    const text = content.toString('base64', at, at + BYTES_OF_A_BLOCK);
    const lines: string[] = [];
    for (let begin = 0; begin < text.length; begin += LONGEST_LINE)
      lines.push(text.slice(begin, begin + LONGEST_LINE), lineBreak);
    encoded.add(Buffer.from(lines.join(''), 'latin1'));
  }
  return encoded.take();
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** An `=` that begins nothing is kept. */
export function decodeQuotedPrintable(bytes: Uint8Array): Buffer {
  const decoded = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let at = 0;
  while (at < bytes.length) {
    const byte = bytes[at++] as number;
    if (byte !== EQUALS) {
      decoded[length++] = byte;
      continue;
    }
    const high = hexValue(bytes[at]);
    const low = hexValue(bytes[at + 1]);
    if (high >= 0 && low >= 0) {
      decoded[length++] = high * 16 + low;
      at += 2;
      continue;
    }
    let end = at;
    while (bytes[end] === SPACE || bytes[end] === TAB) end++;
    if (end === bytes.length || bytes[end] === LF || bytes[end] === CR) at = behindBreak(bytes, end);
    else {
      // The blanks are no soft line break: they are text, and are not looked at again.
      decoded[length++] = EQUALS;
      while (at < end) decoded[length++] = bytes[at++] as number;
    }
  }
  return decoded.subarray(0, length);
}

const HEX_DIGITS = Buffer.from('0123456789ABCDEF');

/**
 * Line breaks like `lineBreak` stay line breaks, other ones are encoded, so that decoding gives the same bytes. A dash
 * at the beginning of a line is encoded: content must not turn into a boundary.
 */
export function encodeQuotedPrintable(bytes: Uint8Array, lineBreak: string): Buffer {
  // Room for the longest result. Memory that is never written to is not used; strings that grow by a character would need
  // many times as much.
  const most = 3 * bytes.length;
  const softBreaks = Math.ceil(most / (LONGEST_LINE - 3));
  const encoded = Buffer.allocUnsafeSlow(most + softBreaks * (1 + lineBreak.length));
  const lineEnd = Buffer.from(lineBreak);
  let length = 0;
  let lineStart = 0;
  const endLine = (): void => {
    encoded.set(lineEnd, length);
    length += lineEnd.length;
    lineStart = length;
  };
  const breaksAt = (at: number): boolean =>
    lineBreak === '\r\n'
      ? bytes[at] === CR && bytes[at + 1] === LF
      : bytes[at] === LF && bytes[at - 1] !== CR;
  for (let at = 0; at < bytes.length; at++) {
    if (breaksAt(at)) {
      endLine();
      at += lineBreak.length - 1;
      continue;
    }
    const byte = bytes[at] as number;
    let plain = byte >= 0x21 && byte <= 0x7e && byte !== EQUALS;
    if (byte === SPACE || byte === TAB) plain = at + 1 < bytes.length && !breaksAt(at + 1);
    if (length - lineStart + (plain ? 1 : 3) >= LONGEST_LINE) {
      encoded[length++] = EQUALS;
      endLine();
    }
    if (plain && !(length === lineStart && byte === DASH)) {
      encoded[length++] = byte;
      continue;
    }
    encoded[length++] = EQUALS;
    encoded[length++] = HEX_DIGITS[byte >> 4] as number;
    encoded[length++] = HEX_DIGITS[byte & 0xf] as number;
  }
  return encoded.subarray(0, length);
}

/** The lines between `begin` and `end`, or all where there is no `begin`. */
function decodeUuencoded(bytes: Uint8Array): Buffer {
  const decoded: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = lineEnd(bytes, at);
    const line = bytes.subarray(at, end);
    at = behindBreak(bytes, end);
    const text = Buffer.from(line.subarray(0, 6)).toString('latin1');
    if (text === 'begin ') decoded.length = 0;
    else if (text.trimEnd() === 'end') break;
    else uudecodeLine(line, decoded);
  }
  return Buffer.from(decoded);
}

function uudecodeLine(line: Uint8Array, decoded: number[]): void {
  const sixBits = (at: number): number => ((line[at] ?? SPACE) - SPACE) & 0x3f;
  const count = line.length > 0 ? sixBits(0) : 0;
  for (let done = 0, at = 1; done < count; done += 3, at += 4) {
    const bits = (sixBits(at) << 18) | (sixBits(at + 1) << 12) | (sixBits(at + 2) << 6) | sixBits(at + 3);
    for (const [index, shift] of [16, 8, 0].entries())
      if (done + index < count) decoded.push((bits >> shift) & 0xff);
  }
}

const DECODERS: ReadonlyMap<string, (bytes: Buffer) => Buffer> = new Map<string, (bytes: Buffer) => Buffer>([
  ['', (bytes) => bytes],
  ['7bit', (bytes) => bytes],
  ['8bit', (bytes) => bytes],
  ['binary', (bytes) => bytes],
  ['base64', decodeBase64],
  ['quoted-printable', decodeQuotedPrintable],
  ['uuencode', decodeUuencoded],
  ['x-uuencode', decodeUuencoded],
  ['uue', decodeUuencoded],
  ['x-uue', decodeUuencoded],
]);

/** The content behind an encoding, or null where the encoding is unknown. */
export function decodeContent(encoding: string, bytes: Buffer): Buffer | null {
  return DECODERS.get(encoding)?.(bytes) ?? null;
}
