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

/** More CR than these before an LF are line breaks of their own, so that a run of them is not searched again and again. */
const MAX_CRS = 16;

/**
 * The index after the line break at `end`: LF, CR, or CRs and an LF, because CR CR LF is one line break to many programs.
 * -1 if `bytes` end before that is certain.
 */
export function lineBreakEnd(bytes: Uint8Array, end: number): number {
  if (bytes[end] === LF) return end + 1;
  let at = end;
  while (bytes[at] === CR && at - end < MAX_CRS) at++;
  if (bytes[at] === LF) return at + 1;
  return at >= bytes.length ? -1 : end + 1;
}

/** The index after the line break at `end`, if no more bytes follow. */
export function skipLineBreak(bytes: Uint8Array, end: number): number {
  if (end >= bytes.length) return end;
  const next = lineBreakEnd(bytes, end);
  return next < 0 ? end + 1 : next;
}

/** The index of the line break directly before `at`, but not before `from`; `at` if there is none. */
export function lineBreakBefore(bytes: Uint8Array, at: number, from: number): number {
  if (at <= from) return at;
  const last = bytes[at - 1];
  if (last === LF) return at - 2 >= from && bytes[at - 2] === CR ? at - 2 : at - 1;
  return last === CR ? at - 1 : at;
}

/**
 * Whether there are CRs that no LF follows: to some programs each ends a line, to others it is a character like any other. So are too
 * many CRs before an LF.
 */
export function hasLoneCr(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at)) {
    const begin = at;
    while (bytes[at] === CR) at++;
    if (bytes[at] !== LF || at - begin > MAX_CRS) return true;
  }
  return false;
}

/** What programs read to which a CR without LF ends no line, but is a blank, or at the beginning of a line nothing. */
export function* withoutLoneCrs(bytes: Buffer): Generator<Buffer> {
  const text = bytes.toString('latin1');
  const blank = (crs: string, lf: string): string =>
    lf !== '' && crs.length <= MAX_CRS ? crs + lf : ' '.repeat(crs.length) + lf;
  const usual = text.replace(/(\r+)(\n?)/g, (_, crs: string, lf: string) => blank(crs, lf));
  yield Buffer.from(usual, 'latin1');
  const trimmed = text.replace(/(\n?)(\r+)(\n?)/g, (_, before: string, crs: string, lf: string) =>
    before === '' || lf !== '' ? before + blank(crs, lf) : before,
  );
  if (trimmed !== usual) yield Buffer.from(trimmed, 'latin1');
}

/** The first line break in `bytes`, as new lines are to have it, or null if there is none. */
export function firstLineBreak(bytes: Uint8Array): string | null {
  const end = lineEnd(bytes, 0);
  if (end === bytes.length) return null;
  if (bytes[end] === LF) return '\n';
  return skipLineBreak(bytes, end) > end + 1 ? '\r\n' : '\r';
}
