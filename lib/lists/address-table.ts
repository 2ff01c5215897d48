/** The entries of one file, or of one array, of names and addresses. */
import { badArgument } from '../internal/errors.js';
import { LargeMap } from '../internal/large-map.js';
import type { LevelSet } from './levels.js';
import { type Lookup, type NameEntry, readNameEntry } from './names.js';

/** An entry of a list that applies to a name or an address. */
export interface ListEntry {
  /** The entry as it is written, with its levels. */
  readonly entry: string;
  /** The file that has it; undefined for an entry of the array. */
  readonly file: string | undefined;
  /** Its line in the file, or its place in the array; both start at 1. */
  readonly line: number;
}

type Found = ListEntry & NameEntry;

/** Entries that are found by key, and patterns, which are tried one after the other. */
export class AddressTable {
  readonly #maxGlobs: number;
  readonly #byKey = new LargeMap<Found[]>();
  readonly #patterns: Found[] = [];
  #size = 0;

  constructor(maxGlobs: number) {
    this.#maxGlobs = maxGlobs;
  }

  get size(): number {
    return this.#size;
  }

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT, with a message without position */
  add(entry: string, line: number, file?: string): void {
    const read = { entry, file, line, ...readNameEntry(entry) };
    if (read.matches) this.#addPattern(read);
    else this.#addKey(read);
    this.#size++;
  }

  #addPattern(pattern: Found): void {
    if (this.#patterns.length >= this.#maxGlobs) {
      throw badArgument(`is one pattern more than the limit of ${this.#maxGlobs} (maxGlobs)`);
    }
    this.#patterns.push(pattern);
  }

  #addKey(entry: Found): void {
    const others = this.#byKey.get(entry.key);
    const same = others?.find(({ levels }) => levels === entry.levels);
    if (same) throw badArgument(`is a duplicate of ${same.entry} (${same.line})`);
    if (others) others.push(entry);
    else this.#byKey.set(entry.key, [entry]);
  }

  find({ keys, texts }: Lookup, needed: LevelSet): ListEntry | undefined {
    const holds = ({ levels }: Found) => (levels & needed) === needed;
    for (const key of keys) {
      const found = this.#byKey.get(key)?.find(holds);
      if (found) return publicPart(found);
    }
    const pattern = this.#patterns.find((each) => holds(each) && texts.some((text) => each.matches?.(text)));
    return pattern && publicPart(pattern);
  }
}

const publicPart = ({ entry, file, line }: Found): ListEntry => ({ entry, file, line });
