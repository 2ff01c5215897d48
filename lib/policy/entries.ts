/** Parses the lines of a map into entries. */
import { LargeMap } from '../internal/large-map.js';
import type { NumberedLine } from '../internal/lines.js';
import { foldText } from '../utils/spellings.js';
import { mapError } from './map-error.js';

/** Values by key in lower case. */
export type Entries = Pick<LargeMap<string>, 'get' | 'size'>;

/** A key and a value as they are written in the file, and their line number. */
type Pair = readonly [key: string, value: string, number: number];

/** Removes trailing NULs. `makemap -N` and `postmap` store the terminating NUL of a string, and some programs print it. */
const withoutNul = (text: string): string => {
  let end = text.length;
  while (end > 0 && text[end - 1] === '\0') end--;
  return text.slice(0, end);
};

/** Keys are not case-sensitive, as in `makemap`. */
export const foldKey = foldText;

/**
 * The entries of a source text, in which each line has a key, blanks and a value. Empty lines and lines that begin with `#` are
 * ignored. A line that begins with a blank continues the previous one, as in Postfix; `makemap` rejects it.
 *
 * What both programs report is an error here: a key without a value, and a duplicate key.
 */
export async function entriesOfText(
  file: string,
  lines: AsyncIterable<NumberedLine>,
  maxEntries: number,
): Promise<Entries> {
  const entries = new LargeMap<string>();
  for await (const [key, value, number] of pairsOf(file, logicalLines(file, lines))) {
    const folded = foldKey(key);
    if (entries.has(folded)) throw mapError(file, `line ${number}: duplicate key ${JSON.stringify(key)}`);
    add(file, entries, folded, value, maxEntries);
  }
  return entries;
}

/** The entries in the output of `makemap -u` or `postmap -s`: a key, a tab and a value. The first value of a key is used. */
export async function entriesOfDump(
  file: string,
  lines: AsyncIterable<NumberedLine>,
  maxEntries: number,
): Promise<Entries> {
  const entries = new LargeMap<string>();
  for await (const [line, number] of lines) {
    const tab = line.indexOf('\t');
    if (tab < 0) throw mapError(file, `entry ${number} has no value; compile the map again`);
    const folded = foldKey(withoutNul(line.slice(0, tab)));
    if (!entries.has(folded)) add(file, entries, folded, withoutNul(line.slice(tab + 1)).trim(), maxEntries);
  }
  return entries;
}

function add(file: string, entries: LargeMap<string>, key: string, value: string, maxEntries: number): void {
  if (entries.size >= maxEntries) {
    throw mapError(file, `has more than ${maxEntries} entries; raise maxEntries if that is intended`);
  }
  entries.set(key, value);
}

const BLANK = /^[ \t]/;

async function* logicalLines(file: string, lines: AsyncIterable<NumberedLine>): AsyncGenerator<NumberedLine> {
  let pieces: string[] = [];
  let first = 0;
  for await (const [line, number] of lines) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    if (BLANK.test(line)) {
      if (pieces.length === 0)
        throw mapError(
          file,
          `line ${number} begins with a blank, but there is no line before it to continue`,
        );
      pieces.push(text);
      continue;
    }
    if (pieces.length > 0) yield [pieces.join(' '), first];
    pieces = [text];
    first = number;
  }
  if (pieces.length > 0) yield [pieces.join(' '), first];
}

async function* pairsOf(file: string, lines: AsyncIterable<NumberedLine>): AsyncGenerator<Pair> {
  for await (const [line, number] of lines) {
    if (line.includes('\0'))
      throw mapError(file, `line ${number} contains a NUL, so this is not a text file`);
    const end = line.search(/[ \t]/);
    if (end < 0) throw mapError(file, `line ${number}: ${JSON.stringify(line)} has no value`);
    yield [line.slice(0, end), line.slice(end).trim(), number];
  }
}
