/** Strangers' text where others read it: in replies, logs and headers. */

const UNPRINTABLE = /[^\x20-\x7e]/g;

const CUT = '...';

/** One line of printable ASCII; what is not is a question mark, what is too long is cut. */
export function printable(text: string, longest: number): string {
  const cut = text.length > longest ? `${text.slice(0, longest - CUT.length)}${CUT}` : text;
  return cut.replace(UNPRINTABLE, '?');
}

/** Whether {@link printable} would leave it as it is. */
export function isPrintable(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** Longest part of a record that a message quotes. */
const MAX_QUOTE_LENGTH = 64;

/** A term of a record, or a name, in a message. */
export const quoted = (text: string) => printable(text, MAX_QUOTE_LENGTH);
