/** Shell patterns: `*`, `?`, `[0-5]` and `[!a-f]`. */

/** A star, or a test for one character. */
type Piece = '*' | ((character: string) => boolean);

const SET = /^\[(!?)(\]?[^\]]*)\]/;

function setOf(negated: boolean, members: string): (character: string) => boolean {
  const ranges: [string, string][] = [];
  for (let at = 0; at < members.length; at++) {
    const from = members.charAt(at);
    const isRange = members.charAt(at + 1) === '-' && at + 2 < members.length;
    ranges.push([from, isRange ? members.charAt(at + 2) : from]);
    if (isRange) at += 2;
  }
  return (character) => ranges.some(([from, to]) => from <= character && character <= to) !== negated;
}

function piecesOf(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const here = pattern.charAt(at);
    const set = here === '[' ? SET.exec(pattern.slice(at)) : null;
    if (set) {
      pieces.push(setOf(set[1] === '!', set[2] as string));
      at += set[0].length - 1;
    } else if (here === '*') pieces.push('*');
    else if (here === '?') pieces.push(() => true);
    else pieces.push((character) => character === here);
  }
  return pieces;
}

/** Whether the whole text matches the pattern; see {@link compileGlob}. */
export function matchesGlob(text: string, pattern: string): boolean {
  return matches(text, piecesOf(pattern));
}

/**
 * A test whether a whole text matches the pattern. Only the last star is retried, so the time is at most proportional to the
 * product of both lengths. A regular expression with many stars could take exponential time.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  const pieces = piecesOf(pattern);
  return (text) => matches(text, pieces);
}

function matches(text: string, pieces: readonly Piece[]): boolean {
  let piece = 0;
  let star = -1;
  let retry = 0;
  for (let at = 0; at < text.length; ) {
    const expected = pieces[piece];
    if (expected === '*') {
      star = piece++;
      retry = at;
    } else if (expected?.(text.charAt(at))) {
      piece++;
      at++;
    } else if (star >= 0) {
      piece = star + 1;
      at = ++retry;
    } else return false;
  }
  return pieces.slice(piece).every((left) => left === '*');
}
