/** Content-Transfer-Encoding uuencode, which has no standard but is understood by mail programs. */
import { hasMatch, joinChunks } from './chunks.js';
import { lineEnd, SPACE, skipLineBreak } from './lines.js';
import type { Allocate } from './reusable-buffer.js';

/**
 * Decodes the lines between the first `begin` and the `end` after it, or all lines if there is no `begin`. Because mail programs remove blanks at
 * the end of a line, two bytes can decode to 63; decoding stops soon after `maxSize` bytes.
 */
export function decodeUuencoded(chunks: readonly Buffer[], allocate: Allocate, maxSize: number): Buffer {
  const bytes = joinChunks(chunks);
  let begin = 0;
  let isBegun = false;
  let size = 0;
  let at = 0;
  while (at < bytes.length && size <= maxSize) {
    const end = lineEnd(bytes, at);
    const text = mayEnclose(bytes[at]) ? bytes.toString('latin1', at, Math.min(end, at + 6)) : '';
    if (isBegun && text.trimEnd() === 'end') break;
    size += end > at ? sixBits(bytes, at, end) : 0;
    at = skipLineBreak(bytes, end);
    if (isBegun || text !== 'begin ') continue;
    isBegun = true;
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

/** Whether a line with this first character may be the `begin` or the `end` of a file: most need not become a string. */
const mayEnclose = (first: number | undefined): boolean => first === 0x62 || first === 0x65;

/** The value of the character at `at`, or that of a blank after the end of the line. */
const sixBits = (bytes: Buffer, at: number, end: number): number =>
  at < end ? ((bytes[at] as number) - SPACE) & 0x3f : 0;

/** Decodes the line from `begin` to `end` to `decoded`. @returns the length of `decoded` afterwards */
function uudecodeLine(bytes: Buffer, begin: number, end: number, decoded: Buffer, from: number): number {
  const count = sixBits(bytes, begin, end);
  // Blanks that are missing at the end stand for zeros.
  const given = Math.min(count, Math.ceil((end - begin - 1) / 4) * 3);
  // At most 63 bytes, for which a call takes longer than this.
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

/**
 * The first line of a uuencoded file, of one in base64 (POSIX uuencode -m), and of one in yEnc. For Outlook, `begin` and two blanks
 * begin a file; behind them there is a name if it is one word.
 */
const BEGINNING =
  /^(?:begin(?:-base64)?[ \t]+[0-7]{3,6}[ \t]+|begin {2}(?=[^\s]+[ \t]*$)|=ybegin [^\r\n]* name=)([^\r\n]*)/gm;
/** In other letter cases, with any number as the mode or none, and any blanks or none around it, a line with data has to follow. */
const LOOSE_BEGINNING =
  /^begin[ \t\v\f]*([-+]?\d+(?!\d)[ \t\v\f]*)?(?![ \t\v\f])([^\r\n]*)\r?\n(?=([ -`]{2,80})\r?$)/gim;

/** Whether a line is as long as its first character says. */
function isDataLine(line: string): boolean {
  const count = (line.charCodeAt(0) - SPACE) & 0x3f;
  const length = line.length - 1;
  return count > 0 && length >= Math.ceil((count * 4) / 3) && length <= Math.ceil(count / 3) * 4 + 2;
}

/** The names of the uuencoded files in a text, each once, and only as they are asked for, because there may be very many. */
export function* uuencodedNames(text: Buffer): Generator<string> {
  if (!hasMatch(text, /begin/i, 'begin'.length)) return;
  const known = new Set<string>();
  for (const name of namesIn(text.toString('latin1'))) {
    if (known.has(name)) continue;
    known.add(name);
    yield Buffer.from(name, 'latin1').toString();
  }
}

function* namesIn(latin1: string): Generator<string> {
  for (const [, name = ''] of latin1.matchAll(BEGINNING)) yield name;
  for (const [, mode, name = '', line = ''] of latin1.matchAll(LOOSE_BEGINNING)) {
    // Without a mode, several words and a short line of letters are rather a sentence.
    const mayBeSentence = mode === undefined && /\s/.test(name.trim()) && /[a-z]/.test(line);
    if (isDataLine(line) && !mayBeSentence) yield name;
  }
}

/** As both of the above together, for one line, whatever follows it. */
const ANY_BEGINNING =
  /^(?:begin(?:-base64)?[ \t]+[-+]?\d+[ \t]+|begin {2}(?=[^ ])|=ybegin[ \t].*?\bname=)(.*)$/i;
/** What may become one of these if more follows. */
const UNFINISHED_BEGINNING = /^(?:begin(?:-base64)?[ \t]+(?:[-+]?\d*)|=ybegin[ \t].*)$/i;

/**
 * The name of the file that begins with this line; null if the line begins none. Only for text that mail programs do not show: a sentence
 * such as "begin 2 hours later" counts as the beginning of a file.
 *
 * @param line read as latin1, without its line break
 * @param isWhole whether it has no more characters. If it has, what may be a first line is one, with what there is as its name
 */
export function beginningOfFile(line: string, isWhole: boolean): string | null {
  const name = ANY_BEGINNING.exec(line)?.[1];
  if (name !== undefined) return name;
  return !isWhole && UNFINISHED_BEGINNING.test(line) ? line : null;
}
