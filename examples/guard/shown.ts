/** Text of clients in the log, in replies and in fields that the filter adds. */
import { printable } from 'tsmilter/utils';

/** A reason stays readable with several of them. */
const MAX_LENGTH = 200;

/** Of more names than these, a number is said. */
const MAX_NAMES = 5;

/** The beginning of a text that is too long; no character is cut in two. */
export function shortened(text: string, max: number): string {
  return text.length > max ? `${text.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
}

/** The text in quotes, so that it ends where it ends, and cannot look like a word of ours. */
export function shown(text: string): string {
  return `"${printable(shortened(text, MAX_LENGTH)).replace(/["\\]/g, '\\$&')}"`;
}

/** The first of the texts in quotes, and how many more there are: a client chooses their number, too. */
export function shownAll(texts: Iterable<string>): string {
  const all = [...texts];
  const names = all.slice(0, MAX_NAMES).map(shown).join(', ');
  return all.length > MAX_NAMES ? `${names} and ${all.length - MAX_NAMES} more` : names;
}
