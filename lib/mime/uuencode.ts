/** Content-Transfer-Encoding uuencode, which has no standard but is understood by mail programs. */
import { joinChunks } from './chunks.js';
import { lineEnd, SPACE, skipLineBreak } from './lines.js';
import type { Allocate } from './reusable-buffer.js';

/**
 * Decodes the lines between `begin` and `end`, or all lines if there is no `begin`. Because mail programs remove blanks at
 * the end of a line, two bytes can decode to 63; decoding stops soon after `maxSize` bytes.
 */
export function decodeUuencoded(chunks: readonly Buffer[], allocate: Allocate, maxSize: number): Buffer {
  const bytes = joinChunks(chunks);
  let begin = 0;
  let size = 0;
  let at = 0;
  while (at < bytes.length && size <= maxSize) {
    const end = lineEnd(bytes, at);
    const text = bytes.toString('latin1', at, Math.min(end, at + 6));
    if (text.trimEnd() === 'end') break;
    if (text !== 'begin ') size += end > at ? sixBits(bytes, at, end) : 0;
    at = skipLineBreak(bytes, end);
    if (text !== 'begin ') continue;
    begin = at;
    size = 0;
  }
  const decoded = allocate(size);
  let length = 0;
  for (const last = at; begin < last; ) {
    const end = lineEnd(bytes, begin);
    if (end > begin) length = uudecodeLine(bytes, begin, end, decoded, length);
    begin = skipLineBreak(bytes, end);
  }
  return decoded.subarray(0, length);
}

/** The value of the character at `at`, or that of a blank after the end of the line. */
const sixBits = (bytes: Buffer, at: number, end: number): number =>
  at < end ? ((bytes[at] as number) - SPACE) & 0x3f : 0;

/** Decodes the line from `begin` to `end` to `decoded`. @returns the length of `decoded` afterwards */
function uudecodeLine(bytes: Buffer, begin: number, end: number, decoded: Buffer, from: number): number {
  const count = sixBits(bytes, begin, end);
  // Blanks that are missing at the end stand for zeros.
  const given = Math.min(count, Math.ceil((end - begin - 1) / 4) * 3);
  for (let at = from + given; at < from + count; at++) decoded[at] = 0;
  for (let done = 0, at = begin + 1; done < given; done += 3, at += 4) {
    const bits =
      (sixBits(bytes, at, end) << 18) |
      (sixBits(bytes, at + 1, end) << 12) |
      (sixBits(bytes, at + 2, end) << 6) |
      sixBits(bytes, at + 3, end);
    for (let index = 0; index < 3 && done + index < given; index++)
      decoded[from + done + index] = (bits >> (16 - 8 * index)) & 0xff;
  }
  return from + count;
}

/** The first line of a uuencoded file, of one in base64 (POSIX uuencode -m), and of one in yEnc. */
const BEGINNING = /^(?:begin(?:-base64)?[ \t]+[0-7]{3,6}[ \t]+|=ybegin [^\r\n]* name=)([^\r\n]*)/gm;

/** The names of the uuencoded files in a text. */
export function uuencodedNames(text: Buffer): string[] {
  if (!text.includes('begin')) return [];
  return [...text.toString('latin1').matchAll(BEGINNING)].map(([, name = '']) =>
    Buffer.from(name, 'latin1').toString(),
  );
}
