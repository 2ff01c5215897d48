/** Text of clients in the log, in replies and in fields that the filter adds. */
import { printable } from 'tsmilter/utils';

/** A reason stays readable with several of them. */
const MAX_LENGTH = 200;

/** Of more names than these, a number is said. */
const MAX_NAMES = 5;

/** The text in quotes, so that it ends where it ends, and cannot look like a word of ours. */
export function shown(text: string): string {
  const cut = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
  return `"${printable(cut).replace(/["\\]/g, '\\$&')}"`;
}

/** The first of the texts in quotes, and how many more there are: a client chooses their number, too. */
export function shownAll(texts: Iterable<string>): string {
  const all = [...texts];
  const names = all.slice(0, MAX_NAMES).map(shown).join(', ');
  return all.length > MAX_NAMES ? `${names} and ${all.length - MAX_NAMES} more` : names;
}
