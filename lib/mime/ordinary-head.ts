/**
 * Heads that every program reads in the same way: lines that are fields, folded or not, and an empty line at their end.
 *
 * One regular expression proves this and finds the fields. The careful way, byte by byte, is for all other heads: those with a
 * line that is no field, a fold of blanks only, a CR without LF, or a line that begins with `--` and so may be a boundary. For
 * an ordinary head it finds the same fields, the same end and no early ends; test/unit/mime-shortcuts.test.ts compares them.
 */

/** The name of a field and its colon, without blanks between them. */
const NAME = '([!-9;-~]{1,200}):';
/** The rest of a line, and lines that continue it, each with something to read in it. */
const VALUE = '[^\\r\\n]*(?:\\r?\\n[ \\t]+[^ \\t\\r\\n][^\\r\\n]*)*';
/** A line break that no fold follows. */
const END = '\\r?\\n(?![ \\t])';

const FIELD = new RegExp(`${NAME}${VALUE}(?:${END}|$)`, 'y');
const HEAD = new RegExp(`(?:(?!--)${NAME.replace('(', '(?:')}${VALUE}${END})*\\r?\\n`, 'y');

/** Longer heads are read carefully: the expressions take memory in proportion to what they match. */
const MAX_ORDINARY_HEAD = 8 * 1024;
/** A head is looked for in this much first, because most heads of parts are short. */
const SHORT_HEAD = 512;

/** The name of the ordinary field at `at`, and where it ends with its folds; null if the field is not ordinary. */
export function ordinaryField(
  text: string,
  at: number,
): { readonly name: string; readonly end: number } | null {
  if (text.length > MAX_ORDINARY_HEAD) return null;
  FIELD.lastIndex = at;
  const name = FIELD.exec(text)?.[1];
  return name === undefined ? null : { name, end: FIELD.lastIndex };
}

/** The index after the empty line of the ordinary head at `at`; -1 if there is none, or if it is not complete. */
export function ordinaryHeadEnd(bytes: Buffer, at: number): number {
  for (const size of [SHORT_HEAD, MAX_ORDINARY_HEAD]) {
    HEAD.lastIndex = 0;
    if (HEAD.test(bytes.toString('latin1', at, Math.min(bytes.length, at + size))))
      return at + HEAD.lastIndex;
    if (bytes.length <= at + size) break;
  }
  return -1;
}
