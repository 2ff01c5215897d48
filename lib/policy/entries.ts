/** Lines of a map to its entries. */
import type { NumberedLine } from './lines.js';
import { mapError } from './map-error.js';

/** Keys, in lower case, and what stands beside them. */
export type Entries = ReadonlyMap<string, string>;

/** A key and a value as they stand in the file, and the number of their line. */
type Pair = readonly [key: string, value: string, number: number];

/** `makemap -N` and `postmap` count the NUL of a C string to it; some programs print it. */
const withoutNul = (text: string): string => {
  let end = text.length;
  while (end > 0 && text[end - 1] === '\0') end--;
  return text.slice(0, end);
};

/** As `makemap` does, the map forgets about case. */
export const foldKey = (key: string): string => key.toLowerCase();

/**
 * The entries of a source text: a key, blanks, a value. Lines that are empty or begin with `#` say nothing; a line that
 * begins with a blank goes on with the one before it, which is Postfix's habit and an error to `makemap`.
 *
 * What both would complain about is an error: a key without a value, and a key that is there twice.
 */
export async function entriesOfText(
  file: string,
  lines: AsyncIterable<NumberedLine>,
  maxEntries: number,
): Promise<Entries> {
  const entries = new Map<string, string>();
  for await (const [key, value, number] of pairsOf(file, logicalLines(file, lines))) {
    const folded = foldKey(key);
    if (entries.has(folded)) throw mapError(file, `line ${number}: ${JSON.stringify(key)} is there already`);
    add(file, entries, folded, value, maxEntries);
  }
  return entries;
}

/** The entries of what `makemap -u` or `postmap -s` prints: a key, a tab, a value. The first of a key counts. */
export async function entriesOfDump(
  file: string,
  lines: AsyncIterable<NumberedLine>,
  maxEntries: number,
): Promise<Entries> {
  const entries = new Map<string, string>();
  for await (const [line, number] of lines) {
    const tab = line.indexOf('\t');
    if (tab < 0) throw mapError(file, `entry ${number} has no value; compile the map again`);
    const folded = foldKey(withoutNul(line.slice(0, tab)));
    if (!entries.has(folded)) add(file, entries, folded, withoutNul(line.slice(tab + 1)).trim(), maxEntries);
  }
  return entries;
}

function add(
  file: string,
  entries: Map<string, string>,
  key: string,
  value: string,
  maxEntries: number,
): void {
  if (entries.size >= maxEntries) {
    throw mapError(file, `has more than ${maxEntries} entries; raise maxEntries if it shall`);
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
        throw mapError(file, `line ${number} begins with a blank, and no line before it goes on`);
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
    if (line.includes('\0')) throw mapError(file, `line ${number} has a NUL; is it text?`);
    const end = line.search(/[ \t]/);
    if (end < 0) throw mapError(file, `line ${number}: ${JSON.stringify(line)} has no value`);
    yield [line.slice(0, end), line.slice(end).trim(), number];
  }
}
