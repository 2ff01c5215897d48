/** Addresses that were found good or bad, remembered for some days. */

import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { appendEntry, compactEntryFile, type ReadLimits, readEntryFile } from './entry-file.js';
import { type Entry, fitsLine } from './entry-line.js';

/** Where an {@link AddrCache} keeps its entries, for how long, and how many. */
export interface AddrCacheOptions {
  /** Days after which an entry is forgotten; default 7. */
  readonly renew?: number;
  /** The file that entries are appended to; default none, the entries live in memory alone. */
  readonly file?: string;
  /** How many entries with a date are kept; the oldest make room. Default 100000. */
  readonly maxEntries?: number;
  /** Longest address that is kept, in characters; default 320 (64 and 255 of RFC 5321, and the `@`). */
  readonly maxAddressLength?: number;
  /** Largest file that is read, in bytes; default 64 MiB. */
  readonly maxFileSize?: number;
  /** The clock, in milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<AddrCacheOptions> = {
  renew: true,
  file: true,
  maxEntries: true,
  maxAddressLength: true,
  maxFileSize: true,
  now: true,
};

interface Remembered<Result> {
  readonly stamp: number;
  readonly result: Result | null;
}

const DAY_MS = 86_400_000;
/** Below this many appended lines a rewrite of the file is not worth it. */
const COMPACT_LINES = 1000;

/**
 * Remembers addresses, such as senders whose mail server has accepted a callback, for some days (pymilter's
 * `AddrCache`). Letter case does not matter. An entry without `@` is a domain, and stands for all of its addresses that
 * have no entry of their own, not for its subdomains.
 *
 * ```
 * const verified = new AddrCache({ renew: 7, file: '/var/lib/filter/verified.log' });
 * verified.load();
 * if (!verified.has(sender) && (await callback(sender))) verified.set(sender);
 * ```
 *
 * Entries without a result are appended to the file, a line each, and survive a crash; those with one, the text of a
 * refusal for instance, live in memory. Several processes may use one file; each sees what was in it at its `load()`.
 * The file is pymilter's: `address 2026Nov24 09:30:00 UTC`, or an address alone, which never expires.
 *
 * Files are small and are read and written synchronously.
 */
export class AddrCache<Result = string> {
  readonly #renewMs: number;
  readonly #limits: ReadLimits;
  readonly #now: () => number;
  /** Oldest first. */
  readonly #dated = new Map<string, Remembered<Result>>();
  readonly #permanent = new Map<string, Result | null>();
  #file: string | undefined;
  #keepMs: number;
  #appended = 0;

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT for an option that is out of range */
  constructor(options: AddrCacheOptions = {}) {
    checkOptions('AddrCache', options, OPTIONS);
    const {
      renew = 7,
      maxEntries = 100_000,
      maxAddressLength = 320,
      maxFileSize = 64 * 1024 * 1024,
    } = options;
    checkInteger('AddrCache: maxEntries', maxEntries, 1);
    checkInteger('AddrCache: maxAddressLength', maxAddressLength, 1);
    checkInteger('AddrCache: maxFileSize', maxFileSize, 1);
    this.#renewMs = daysMs('renew', renew);
    this.#keepMs = this.#renewMs;
    this.#limits = { maxEntries, maxAddressLength, maxFileSize };
    this.#file = options.file;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Reads the entries of a file, and appends to that file from now on. Garbage, such as a line that a crash has cut
   * off, is left out, and so is what is older than `keep` days; entries without a date stay. Where there is any of it
   * the file is rewritten without it. A file that does not exist yet is no error.
   *
   * @param file default: the option `file`
   * @param keep days; default: the option `renew`. With more, a later `load` with a larger `renew` finds them again.
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT without a file; ERR_MILTER_STORE for one that is too large or not a
   *   regular file; the system's error for one that cannot be read or rewritten
   */
  load(file: string | undefined = this.#file, keep?: number): void {
    if (file === undefined || file === '') {
      throw badArgument('AddrCache: load() needs a file, here or as an option');
    }
    this.#keepMs = keep === undefined ? this.#renewMs : daysMs('keep', keep);
    this.#file = file;
    const contents = readEntryFile(file, this.#now() - this.#keepMs, this.#limits);
    if (!contents) return;
    for (const { address, stamp } of contents.entries) this.#restore(address, stamp);
    if (contents.hasWaste) this.compact();
  }

  #restore(address: string, stamp: number | null): void {
    if (stamp === null) {
      this.#dated.delete(address);
      if (!this.#permanent.has(address)) this.#permanent.set(address, null);
    } else if (!this.#permanent.has(address) && (this.#dated.get(address)?.stamp ?? 0) < stamp) {
      this.#remember(address, { stamp, result: null });
    }
  }

  #remember(key: string, entry: Remembered<Result>): void {
    this.#dated.delete(key);
    this.#dated.set(key, entry);
    if (this.#dated.size <= this.#limits.maxEntries) return;
    const [oldest] = this.#dated.keys();
    this.#dated.delete(oldest as string);
  }

  /** Whether the address, or else its domain, has an entry that is not too old. */
  has(address: string): boolean {
    return this.get(address) !== undefined;
  }

  /** As {@link has}, without the domain (pymilter's `has_precise_key`). */
  hasPrecise(address: string): boolean {
    return this.#precise(address.toLowerCase()) !== undefined;
  }

  /** The result of the address, or else of its domain: null for an entry without one, undefined for no entry. */
  get(address: string): Result | null | undefined {
    const key = address.toLowerCase();
    const found = this.#precise(key);
    const at = key.lastIndexOf('@');
    return found !== undefined || at < 0 ? found : this.#precise(key.slice(at + 1));
  }

  #precise(key: string): Result | null | undefined {
    const permanent = this.#permanent.get(key);
    if (permanent !== undefined) return permanent;
    const entry = this.#dated.get(key);
    if (!entry) return undefined;
    if (this.#now() - entry.stamp < this.#renewMs) return entry.result;
    this.#dated.delete(key);
    return undefined;
  }

  /**
   * Remembers an address or a domain for `renew` days from now; an entry that never expires gets the result and goes
   * on not to expire. Without a result it is appended to the file, unless the file's lines cannot hold the address
   * (white space, control characters); a longer one than `maxAddressLength` is not remembered at all.
   *
   * @throws MilterError ERR_MILTER_STORE, or the system's error, where the file cannot be written; the entry is in
   *   memory then
   */
  set(address: string, result: Result | null = null): void {
    const key = address.toLowerCase();
    if (key.length > this.#limits.maxAddressLength) return;
    if (this.#permanent.has(key)) {
      this.#permanent.set(key, result);
      return;
    }
    const stamp = this.#now();
    this.#remember(key, { stamp, result });
    if (result === null) this.#append({ address: key, stamp });
  }

  /** As {@link set}, for an entry that never expires (pymilter's `addperm`). */
  addPermanent(address: string, result: Result | null = null): void {
    const key = address.toLowerCase();
    if (key.length > this.#limits.maxAddressLength) return;
    this.#dated.delete(key);
    this.#permanent.set(key, result);
    if (result === null) this.#append({ address: key, stamp: null });
  }

  #append(entry: Entry): void {
    if (this.#file === undefined || !fitsLine(entry.address)) return;
    appendEntry(this.#file, entry);
    if (++this.#appended >= Math.max(COMPACT_LINES, 2 * this.size)) this.#compactAtLeisure();
  }

  /** The entry has been written: that the file could not be made smaller is no reason to fail. */
  #compactAtLeisure(): void {
    try {
      this.compact();
    } catch (error) {
      process.emitWarning(
        `the cache file could not be rewritten: ${(error as Error).message}`,
        'MilterWarning',
      );
    }
    this.#appended = 0;
  }

  /**
   * Rewrites the file without garbage, old entries and all but the newest line of each address. It is done now and
   * then without being asked for, when much has been appended.
   *
   * @returns false where there is no file, or another process is rewriting it
   * @throws MilterError ERR_MILTER_STORE, or the system's error, where the file cannot be read or rewritten
   */
  compact(): boolean {
    this.#appended = 0;
    return this.#file !== undefined && compactEntryFile(this.#file, this.#now() - this.#keepMs, this.#limits);
  }

  /** How many entries there are in memory; those that are too old count until they are looked for. */
  get size(): number {
    return this.#dated.size + this.#permanent.size;
  }
}

function daysMs(option: string, days: number): number {
  if (typeof days === 'number' && days >= 0 && Number.isFinite(days)) return days * DAY_MS;
  throw badArgument(`AddrCache: ${option} must be a number of days, 0 or more, not ${String(days)}`);
}
