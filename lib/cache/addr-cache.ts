/** A cache of results for mail addresses, which expire after some days. */

import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { appendEntry, compactEntryFile, type ReadLimits, readEntryFile, takeEntries } from './entry-file.js';
import { type Entry, fitsLine } from './entry-line.js';

/** Options and limits of an {@link AddrCache}. */
export interface AddrCacheOptions {
  /** Days after which an entry expires. Default: 7. */
  readonly renew?: number;
  /** The file to which entries are appended. Default: none; entries are kept in memory only. */
  readonly file?: string;
  /** Maximum number of entries with a date; the oldest are removed. Default: 100,000. */
  readonly maxEntries?: number;
  /** Maximum length of an address in characters, up to 65,535. Default: 320 (the 64 and 255 of RFC 5321, and the `@`). */
  readonly maxAddressLength?: number;
  /** Maximum size of the file in bytes. Default: 67,108,864 (64 MiB). */
  readonly maxFileSize?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
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

interface CachedResult<Result> {
  readonly stamp: number;
  readonly result: Result | null;
}

const DAY_MS = 86_400_000;
/** The file is rewritten only after at least this many lines have been appended. */
const COMPACT_LINES = 1000;

/**
 * Caches addresses for some days, such as senders whose mail server has accepted a callback (pymilter's `AddrCache`). Addresses
 * are not case-sensitive. An entry without `@` is a domain, and applies to all of its addresses that have no entry of their
 * own, but not to its subdomains.
 *
 * ```
 * const verified = new AddrCache({ renew: 7, file: '/var/lib/filter/verified.log' });
 * await verified.load();
 * if (!verified.has(sender) && (await callback(sender))) verified.set(sender);
 * ```
 *
 * Entries without a result are appended to the file, one line each, and survive a crash. Entries with a result, for example the
 * text of a refusal, are kept in memory only. Several processes can use the same file; each of them has the entries that the
 * file contained at its `load()`. The format is that of pymilter: `address 2026Nov24 09:30:00 UTC`, or only an address, which
 * never expires.
 *
 * `load` and `compact` read and write the file in small steps, between which the event loop has its turn. An entry is appended
 * synchronously, in microseconds.
 */
export class AddrCache<Result = string> {
  readonly #renewMs: number;
  readonly #limits: ReadLimits;
  readonly #now: () => number;
  /** Oldest first. */
  readonly #dated = new Map<string, CachedResult<Result>>();
  readonly #permanent = new Map<string, Result | null>();
  #file: string | undefined;
  /** Entries in the file that are older than this are waste. */
  #retentionMs: number;
  #appended = 0;
  /** The last call of load() or compact(). They run one after the other. */
  #fileWork: Promise<unknown> = Promise.resolve();
  #compacting = false;
  /**
   * The keys of #dated, from the oldest on. It is kept, because a new iterator would first pass all the entries that have been
   * removed, one after the other.
   */
  #oldest: Iterator<string> = this.#dated.keys();

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
    checkInteger('AddrCache: maxAddressLength', maxAddressLength, 1, 65_535);
    checkInteger('AddrCache: maxFileSize', maxFileSize, 1);
    this.#renewMs = daysMs('renew', renew);
    this.#retentionMs = this.#renewMs;
    this.#limits = { maxEntries, maxAddressLength, maxFileSize };
    this.#file = options.file;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Reads the entries of a file, and appends to that file from now on. Malformed lines, such as one that a crash has cut off,
   * and entries older than `keep` days are ignored; if there are any, the file is rewritten without them. Entries without a
   * date never expire. It is not an error if the file does not exist yet.
   *
   * @param file the file. Default: the option `file`
   * @param keep days. Default: the option `renew`. With a higher value, a later `load` with a larger `renew` can use the older
   *   entries again.
   * @returns a promise that resolves when the file has been read, and rewritten if necessary. Until then, `has` and `get` may
   *   miss entries of the file
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT without a file; ERR_MILTER_STORE if it is too large or not a regular file; the
   *   error of the system if it cannot be read or rewritten
   */
  async load(file: string | undefined = this.#file, keep?: number): Promise<void> {
    if (file === undefined || file === '') {
      throw badArgument('AddrCache: load() needs a file, as an argument or as an option');
    }
    this.#retentionMs = keep === undefined ? this.#renewMs : daysMs('keep', keep);
    this.#file = file;
    const hasWaste = await this.#inTurn(async () => {
      const contents = await readEntryFile(file, this.#now() - this.#retentionMs, this.#limits);
      if (contents)
        await takeEntries(contents.entries, (entry) => this.#addFromFile(entry.address, entry.stamp));
      return contents?.hasWaste;
    });
    if (hasWaste) await this.compact();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#fileWork.then(work);
    this.#fileWork = result.catch(() => {});
    return result;
  }

  #addFromFile(address: string, stamp: number | null): void {
    if (stamp === null) {
      this.#dated.delete(address);
      if (!this.#permanent.has(address)) this.#permanent.set(address, null);
    } else if (!this.#permanent.has(address) && (this.#dated.get(address)?.stamp ?? 0) < stamp) {
      this.#add(address, { stamp, result: null });
    }
  }

  #add(key: string, entry: CachedResult<Result>): void {
    this.#dated.delete(key);
    this.#dated.set(key, entry);
    if (this.#dated.size <= this.#limits.maxEntries) return;
    this.#removeOldest();
  }

  #removeOldest(): void {
    let oldest = this.#oldest.next();
    if (oldest.done) {
      this.#oldest = this.#dated.keys();
      oldest = this.#oldest.next();
    }
    if (!oldest.done) this.#dated.delete(oldest.value);
  }

  /** Whether the address, or otherwise its domain, has an entry that has not expired. */
  has(address: string): boolean {
    return this.get(address) !== undefined;
  }

  /** As {@link has}, but only for the address itself (pymilter's `has_precise_key`). */
  hasPrecise(address: string): boolean {
    return this.#precise(address.toLowerCase()) !== undefined;
  }

  /** The result for the address, or otherwise for its domain: null for an entry without a result, undefined without an entry. */
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
   * Adds an address or a domain for `renew` days. An entry that never expires gets the new result and still does not expire.
   * Without a result, the entry is also appended to the file, unless the address has white space or control characters, which
   * the format does not allow. An address longer than `maxAddressLength` is not cached.
   *
   * @throws MilterError ERR_MILTER_STORE, or the error of the system, if the file cannot be written. The entry is in memory even
   *   then.
   */
  set(address: string, result: Result | null = null): void {
    const key = address.toLowerCase();
    if (key.length > this.#limits.maxAddressLength) return;
    if (this.#permanent.has(key)) {
      this.#permanent.set(key, result);
      return;
    }
    const stamp = this.#now();
    this.#add(key, { stamp, result });
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
    this.#appended++;
    if (!this.#compacting && this.#appended >= Math.max(COMPACT_LINES, 2 * this.size))
      void this.#compactOrWarn();
  }

  /** The entry has been written, so a failure to compact the file is only a warning. */
  async #compactOrWarn(): Promise<void> {
    this.#compacting = true;
    try {
      await this.compact();
    } catch (error) {
      process.emitWarning(
        `the cache file could not be rewritten: ${(error as Error).message}`,
        'MilterWarning',
      );
    } finally {
      this.#compacting = false;
    }
  }

  /**
   * Rewrites the file without malformed lines, expired entries, and all but the newest line of each address. This also happens
   * automatically after many entries have been appended.
   *
   * @returns false if there is no file, or another process is rewriting it
   * @throws MilterError ERR_MILTER_STORE, or the error of the system, if the file cannot be read or rewritten
   */
  compact(): Promise<boolean> {
    return this.#inTurn(async () => {
      this.#appended = 0;
      const oldest = this.#now() - this.#retentionMs;
      return this.#file !== undefined && compactEntryFile(this.#file, oldest, this.#limits);
    });
  }

  /** The number of entries in memory. Expired entries count until they are next looked up. */
  get size(): number {
    return this.#dated.size + this.#permanent.size;
  }
}

function daysMs(option: string, days: number): number {
  if (typeof days === 'number' && days >= 0 && Number.isFinite(days)) return days * DAY_MS;
  throw badArgument(`AddrCache: ${option} must be a number of days, 0 or more, not ${String(days)}`);
}
