/** Names and addresses that are banned while the filter runs, for some days. */
import { open } from 'node:fs/promises';
import {
  appendEntry,
  compactEntryFile,
  type ReadLimits,
  readEntryFile,
  takeEntries,
} from '../cache/entry-file.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, checkText, checkWord, type OptionNames } from '../internal/validate.js';
import { AUTH_LEVELS, type AuthLevel, holdsAt, type LevelSet, levelsOf, levelsText } from './levels.js';
import { lookupOf, type NameEntry, readNameEntry } from './names.js';

/** Options and limits of a {@link BanList}. */
export interface BanListOptions {
  /** The file that keeps the bans over a restart. A new one is readable for its owner only. */
  readonly file: string;
  /** Maximum number of banned names; the one that was added first is removed. Default: 100,000. */
  readonly maxEntries?: number;
  /** Maximum size of the file in bytes. Default: 67,108,864 (64 MiB). */
  readonly maxFileSize?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<BanListOptions> = {
  file: true,
  maxEntries: true,
  maxFileSize: true,
  now: true,
};

const DAY_MS = 86_400_000;
const MAX_DAYS = 36_500;
/** The longest address (RFC 5321 4.5.3.1), and its levels. */
const MAX_ENTRY_LENGTH = 400;
/** The file is rewritten only after at least this many lines have been appended. */
const COMPACT_LINES = 1000;

/** The moment at which the ban ends, for each level. */
type Ends = number[];

/**
 * Bans names and addresses for some days, each with the levels of authentication at which the ban holds. A ban is appended to the
 * file at once and survives a crash; lines have the form of `tsmilter/cache`, with the date on which the ban ends. Several
 * processes can use the same file; each of them has the bans that the file contained when it was opened.
 */
export class BanList {
  readonly #file: string;
  readonly #limits: ReadLimits;
  readonly #now: () => number;
  /** Oldest first. */
  readonly #bans = new Map<string, Ends>();
  /** Kept, because a new iterator would first pass all the names that have been removed. */
  #oldest: Iterator<string> = this.#bans.keys();
  #appended = 0;
  #compacting = false;

  private constructor(options: BanListOptions) {
    checkOptions('BanList', options, OPTIONS);
    const { file, maxEntries = 100_000, maxFileSize = 64 * 1024 * 1024, now = Date.now } = options;
    checkWord('BanList: file', file);
    checkInteger('BanList: maxEntries', maxEntries, 1);
    checkInteger('BanList: maxFileSize', maxFileSize, 1);
    this.#file = file;
    this.#limits = { maxEntries, maxFileSize, maxAddressLength: MAX_ENTRY_LENGTH };
    this.#now = now;
  }

  /**
   * Reads the file, or creates it. Malformed lines, such as one that a crash has cut off, and bans that have ended are ignored; if
   * there are any, the file is rewritten without them. A line without a date is a ban without an end.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option; ERR_MILTER_STORE if the file is too large or not a regular file;
   *   the error of the system if it cannot be read or written
   */
  static async open(options: BanListOptions): Promise<BanList> {
    const list = new BanList(options);
    await (await open(list.#file, 'a', 0o600)).close();
    await list.#load();
    return list;
  }

  /** The number of banned names. A ban that has ended counts until the name is next looked up. */
  get size(): number {
    return this.#bans.size;
  }

  /**
   * Bans a name or an address. A ban that ends later already is not shortened.
   *
   * @param entry an entry of {@link AddressList}, but no pattern and no file: `ann@example.com`, `@example.com:!pass`
   * @param days how long, more than 0, at most 36,500
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid entry or number; ERR_MILTER_STORE, or the error of the system, if
   *   the file cannot be written. The name is banned in memory even then.
   */
  add(entry: string, days: number): void {
    checkWord('BanList: entry', entry);
    if (!(typeof days === 'number' && days > 0 && days <= MAX_DAYS)) {
      throw badArgument(`BanList: days must be a number above 0, at most ${MAX_DAYS}, not ${String(days)}`);
    }
    const { key, levels } = readBan(entry);
    const line = lineOf(key, levels);
    if (line.length > MAX_ENTRY_LENGTH)
      throw badArgument(`BanList: the entry exceeds ${MAX_ENTRY_LENGTH} characters`);
    const end = this.#now() + days * DAY_MS;
    this.#ban(key, levels, end);
    appendEntry(this.#file, { address: line, stamp: end });
    this.#appended++;
    if (!this.#compacting && this.#appended >= Math.max(COMPACT_LINES, 2 * this.size))
      void this.#compactOrWarn();
  }

  /**
   * Whether the address, its domain, or one above it is banned.
   *
   * @param name an address with or without `<>`, the name of a host, or '' or `<>` for the null sender
   * @param level how the name was authenticated. Without it, only a ban that holds at every level counts.
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if the name is not a string, or the level is unknown
   */
  has(name: string, level?: AuthLevel): boolean {
    checkText('BanList: name', name);
    const needed = levelsOf('BanList', level);
    return lookupOf(name).keys.some((key) => this.#isBanned(key, needed));
  }

  #isBanned(key: string, needed: LevelSet): boolean {
    const ends = this.#bans.get(key);
    if (!ends) return false;
    const now = this.#now();
    if (ends.every((end) => end <= now)) this.#bans.delete(key);
    return ends.every((end, bit) => end > now || !holdsAt(needed, bit));
  }

  #ban(key: string, levels: LevelSet, end: number): void {
    const old = this.#bans.get(key);
    const ends = AUTH_LEVELS.map((_, bit) => Math.max(old?.[bit] ?? 0, holdsAt(levels, bit) ? end : 0));
    this.#bans.delete(key);
    this.#bans.set(key, ends);
    if (this.#bans.size > this.#limits.maxEntries) this.#removeOldest();
  }

  #removeOldest(): void {
    let oldest = this.#oldest.next();
    if (oldest.done) {
      this.#oldest = this.#bans.keys();
      oldest = this.#oldest.next();
    }
    if (!oldest.done) this.#bans.delete(oldest.value);
  }

  async #load(): Promise<void> {
    const contents = await readEntryFile(this.#file, this.#now(), this.#limits);
    if (!contents) return;
    await takeEntries(contents.entries, ({ address, stamp }) => {
      const read = readOrNone(address);
      if (read) this.#ban(read.key, read.levels, stamp ?? Number.POSITIVE_INFINITY);
    });
    if (contents.hasWaste) await this.#compact();
  }

  #compact(): Promise<boolean> {
    this.#appended = 0;
    return compactEntryFile(this.#file, this.#now(), this.#limits);
  }

  /** The ban has been written, so a failure to compact the file is only a warning. */
  async #compactOrWarn(): Promise<void> {
    this.#compacting = true;
    try {
      await this.#compact();
    } catch (error) {
      process.emitWarning(
        `${this.#file} could not be rewritten: ${(error as Error).message}`,
        'MilterWarning',
      );
    } finally {
      this.#compacting = false;
    }
  }
}

function readBan(entry: string): NameEntry {
  let read: NameEntry;
  try {
    read = readNameEntry(entry);
  } catch (error) {
    throw badArgument(`BanList: ${JSON.stringify(entry)} ${(error as Error).message}`);
  }
  if (read.matches)
    throw badArgument(`BanList: ${JSON.stringify(entry)} is a pattern, which cannot be banned`);
  return read;
}

/** An entry that was written by hand may be malformed. */
function readOrNone(entry: string): NameEntry | undefined {
  try {
    return readBan(entry);
  } catch {
    return undefined;
  }
}

/**
 * The entry in one spelling, so that the file has one line for each name and set of levels. A user such as `#ann` keeps its quotes,
 * without which the line would be a comment.
 */
function lineOf(key: string, levels: LevelSet): string {
  const name = key.replace(/^([#/].*)(@[^@]*)$/s, '"$1"$2');
  const words = levelsText(levels);
  return `${name}${words && `:${words}`}`;
}
