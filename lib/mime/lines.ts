/**
 * Lines of a message. LF, CRLF and a lone CR each end a line, as in pymilter and in mail programs: what one of them reads as a
 * boundary must not be overlooked here.
 */

export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const TAB = 0x09;

/** The maximum length of an encoded line, without its line break (RFC 2045 6.7, 6.8). */
export const MAX_LINE_LENGTH = 76;

/** The index of the line break that ends the line at `at`, or the length of `bytes` if there is none. */
export function lineEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++;
  return end;
}

/** The index after the line break at `end`. */
export function skipLineBreak(bytes: Uint8Array, end: number): number {
  if (end >= bytes.length) return end;
  return bytes[end] === CR && bytes[end + 1] === LF ? end + 2 : end + 1;
}

/** The index of the line break directly before `at`, but not before `from`; `at` if there is none. */
export function lineBreakBefore(bytes: Uint8Array, at: number, from: number): number {
  if (at <= from) return at;
  const last = bytes[at - 1];
  if (last === LF) return at - 2 >= from && bytes[at - 2] === CR ? at - 2 : at - 1;
  return last === CR ? at - 1 : at;
}

/** The first line break in `bytes`, or null if there is none. */
export function firstLineBreak(bytes: Uint8Array): string | null {
  const end = lineEnd(bytes, 0);
  if (end === bytes.length) return null;
  return Buffer.from(bytes.subarray(end, skipLineBreak(bytes, end))).toString('latin1');
}
