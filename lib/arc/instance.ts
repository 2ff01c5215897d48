/** The instance tag at the beginning of each ARC field (RFC 8617 3.9 and 4.2.1). */

import { commentEnd } from '../authres/tokens.js';

/** A message may have so many sets. */
export const MAX_INSTANCE = 50;

const POSITION = /^[0-9]{1,2}$/;

/** @returns the number that an `i=` stands for; undefined unless it is one from 1 to 50 */
export function instanceNumber(text: string): number | undefined {
  const number = POSITION.test(text) ? Number(text) : 0;
  return number >= 1 && number <= MAX_INSTANCE ? number : undefined;
}

/**
 * Splits `i=1; rest`. Folding white space and comments may stand around each part.
 *
 * @returns undefined if the text begins with something else
 */
export function splitInstance(text: string): { position: string; rest: string } | undefined {
  let at = skipCfws(text, 0);
  if (text[at] !== 'i') return undefined;
  at = skipCfws(text, at + 1);
  if (text[at] !== '=') return undefined;
  const start = skipCfws(text, at + 1);
  let end = start;
  while (end < text.length && isDigit(text[end] as string)) end++;
  at = skipCfws(text, end);
  if (at < text.length && text[at] !== ';') return undefined;
  return { position: text.slice(start, end), rest: text.slice(at + 1) };
}

const isDigit = (character: string): boolean => character >= '0' && character <= '9';

/** The index behind white space and comments (RFC 5322 3.2.2); an open comment is not skipped. */
function skipCfws(text: string, start: number): number {
  let at = start;
  for (;;) {
    while (' \t\r\n'.includes(text[at] ?? 'x')) at++;
    if (text[at] !== '(') return at;
    const end = commentEnd(text, at);
    if (end < 0) return at;
    at = end + 1;
  }
}
