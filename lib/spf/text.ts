/** Sanitises untrusted text for replies, logs and headers. */

const UNPRINTABLE = /[^\x20-\x7e]/g;

const ELLIPSIS = '...';

/** Replaces all characters outside printable ASCII by question marks, and cuts text that is too long. */
export function printable(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - ELLIPSIS.length)}${ELLIPSIS}` : text;
  return cut.replace(UNPRINTABLE, '?');
}

/** Whether a text consists of printable ASCII. */
export function isPrintable(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

const MAX_QUOTE_LENGTH = 64;

/** Quotes a term of a record, or a name, in a message. */
export const quoted = (text: string) => printable(text, MAX_QUOTE_LENGTH);
