/** Text of clients in the log, in replies and in fields that the filter adds. */
import { printable } from 'tsmilter/utils';

/** A reason stays readable with several of them. */
const MAX_LENGTH = 200;

/** The text in quotes, so that it ends where it ends, and cannot look like a word of ours. */
export function shown(text: string): string {
  const cut = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
  return `"${printable(cut).replace(/["\\]/g, '\\$&')}"`;
}
