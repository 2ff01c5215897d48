/**
 * Lines of a message. LF, CRLF and a lone CR end one, as in pymilter and in mail programs: what one of them takes for a
 * boundary must not stay unseen here.
 */

export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const TAB = 0x09;

/** The index of the line break that ends the line at `at`, or the length where there is none. */
export function lineEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++;
  return end;
}

/** The index behind the line break at `end`. */
export function skipLineBreak(bytes: Uint8Array, end: number): number {
  if (end >= bytes.length) return end;
  return bytes[end] === CR && bytes[end + 1] === LF ? end + 2 : end + 1;
}

/** The index of the line break that stands ahead of `at`, not below `from`; `at` where there is none. */
export function lineBreakBefore(bytes: Uint8Array, at: number, from: number): number {
  if (at <= from) return at;
  const last = bytes[at - 1];
  if (last === LF) return at - 2 >= from && bytes[at - 2] === CR ? at - 2 : at - 1;
  return last === CR ? at - 1 : at;
}

/** The first line break in `bytes`, null where there is none. */
export function firstLineBreak(bytes: Uint8Array): string | null {
  const end = lineEnd(bytes, 0);
  if (end === bytes.length) return null;
  return Buffer.from(bytes.subarray(end, skipLineBreak(bytes, end))).toString('latin1');
}
