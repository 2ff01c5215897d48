/** Content-Transfer-Encoding base64 (RFC 2045 6.8). */
import type { ByteSource } from './byte-source.js';
import { inBlocks, sizeOf } from './chunks.js';
import { MAX_LINE_LENGTH } from './lines.js';
import type { Allocate } from './reusable-buffer.js';

/** Bytes that one line of base64 encodes, and lines that are encoded at a time. */
const BYTES_PER_LINE = (MAX_LINE_LENGTH / 4) * 3;
const LINES_PER_BLOCK = 1000;

const PADDING = 0x3d;
const VALUES = new Int8Array(256).fill(-1);
for (const [value, character] of Array.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
).entries())
  VALUES[character.charCodeAt(0)] = value;

/** Skips what is not in the alphabet and, unlike Buffer.from, also decodes what follows a padding, as mail programs do. */
export function decodeBase64(chunks: readonly Uint8Array[], allocate: Allocate): Buffer {
  const decoded = allocate(Math.ceil((sizeOf(chunks) * 3) / 4));
  let length = 0;
  let bits = 0;
  let count = 0;
  for (const chunk of chunks) {
    for (const byte of chunk) {
      const value = VALUES[byte] as number;
      if (value >= 0) {
        bits = ((bits << 6) | value) & 0xfff;
        count += 6;
        if (count >= 8) {
          count -= 8;
          decoded[length++] = (bits >> count) & 0xff;
        }
      } else if (byte === PADDING) {
        count = 0;
      }
    }
  }
  return decoded.subarray(0, length);
}

/** Encodes `size` bytes at most, in lines of 76 characters that end with `lineBreak`. */
export function base64Source(
  size: number,
  content: () => Iterable<Uint8Array>,
  lineBreak: string,
): ByteSource {
  const lines = Math.ceil(size / BYTES_PER_LINE);
  const blockSize = Math.min(lines, LINES_PER_BLOCK) * BYTES_PER_LINE;
  return {
    maxLength: lines * (MAX_LINE_LENGTH + lineBreak.length),
    blocks: () => encodeBase64(content(), lineBreak, blockSize),
  };
}

function* encodeBase64(
  chunks: Iterable<Uint8Array>,
  lineBreak: string,
  blockSize: number,
): Generator<Buffer> {
  const lineSize = MAX_LINE_LENGTH + lineBreak.length;
  const encoded = Buffer.allocUnsafe(Math.ceil(blockSize / BYTES_PER_LINE) * lineSize);
  // Block by block, because a string of the whole content would need several times its memory.
  for (const bytes of inBlocks(chunks, blockSize)) {
    const text = bytes.toString('base64');
    const lines: string[] = [];
    for (let begin = 0; begin < text.length; begin += MAX_LINE_LENGTH)
      lines.push(text.slice(begin, begin + MAX_LINE_LENGTH), lineBreak);
    yield encoded.subarray(0, encoded.write(lines.join(''), 'latin1'));
  }
}
