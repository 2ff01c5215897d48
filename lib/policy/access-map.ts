/** An access map in memory, kept up to date with its file. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { badArgument, MilterError } from '../internal/errors.js';
import { writeLine } from '../internal/output.js';
import {
  checkFunctionOrNull,
  checkInteger,
  checkOptions,
  checkWord,
  type OptionNames,
} from '../internal/validate.js';
import { type DumpPrograms, dumpOf } from './dump.js';
import { type Entries, entriesOfDump, entriesOfText, foldKey } from './entries.js';
import { limitsOf, type MapLimits } from './limits.js';
import { linesOf } from './lines.js';
import { mapError } from './map-error.js';
import { detectType, type MapType } from './map-type.js';

/** How an access map is read. */
export interface AccessMapOptions extends MapLimits, DumpPrograms {
  /** What kind of file it is. Default: told by its first bytes. */
  readonly type?: MapType;
  /** Stands between a prefix and what follows it. Default: `:`. */
  readonly separator?: ':' | '!';
  /** Milliseconds between looks at the file; 0 for none. Default: 5,000. */
  readonly pollInterval?: number;
  /** Called when a changed file has been read. Default: nothing. */
  readonly onReload?: (map: AccessMap) => void;
  /**
   * Called when a changed file cannot be read, or is gone; the old entries stay. Once for each such version of the file.
   * Default: a line to stderr.
   */
  readonly onError?: (error: MilterError) => void;
}

/** Differs when the file does: another one in its place, or other content. */
type Version = string;

/** A file that changes while it is read is read again, this often before it is an error. */
const MAX_READ_ATTEMPTS = 5;

const TYPES: readonly (MapType | undefined)[] = ['text', 'hash', 'btree', 'lmdb', undefined];
const SEPARATORS: readonly (string | undefined)[] = [':', '!', undefined];

const OPTIONS: OptionNames<AccessMapOptions> = {
  type: true,
  separator: true,
  pollInterval: true,
  onReload: true,
  onError: true,
  maxBytes: true,
  maxLineLength: true,
  maxEntries: true,
  makemap: true,
  postmap: true,
  env: true,
  programTimeout: true,
};

function checkArguments(file: string, options: AccessMapOptions): void {
  checkWord('AccessMap: file', file);
  checkOptions('AccessMap', options, OPTIONS);
  if (!TYPES.includes(options.type))
    throw badArgument("AccessMap: type must be 'text', 'hash', 'btree' or 'lmdb'");
  if (!SEPARATORS.includes(options.separator)) throw badArgument("AccessMap: separator must be ':' or '!'");
  checkInteger('AccessMap: pollInterval', options.pollInterval ?? 0, 0);
  checkInteger('AccessMap: programTimeout', options.programTimeout ?? 1, 1);
  checkFunctionOrNull('AccessMap: onReload', options.onReload ?? null);
  checkFunctionOrNull('AccessMap: onError', options.onError ?? null);
}

/**
 * Sendmail's access map: its source text, or what `makemap` or `postmap` compiled it to. Opened once, at the start of the
 * filter; a change of the file is seen without a restart.
 *
 * Put a new source text in place by a rename: where a program writes into the file that is there, and pauses, half of it may
 * be read, and the whole a moment later. Compiled maps are locked while `makemap` or `postmap` writes them.
 */
export class AccessMap implements Disposable {
  /** The file's path. */
  readonly file: string;
  /** Stands between a prefix and what follows it. */
  readonly separator: ':' | '!';
  readonly #options: AccessMapOptions;
  readonly #limits: Required<MapLimits>;
  #entries: Entries = new Map();
  /** The version that the entries are of. */
  #version: Version | undefined;
  /** The version that was read last, or tried. */
  #tried: Version | undefined;
  /** The last trouble that was reported. */
  #reported: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<boolean> | undefined;
  #closed = false;

  private constructor(file: string, options: AccessMapOptions) {
    checkArguments(file, options);
    this.file = file;
    this.separator = options.separator ?? ':';
    this.#options = options;
    this.#limits = limitsOf(options);
  }

  /**
   * Reads the map.
   *
   * @param file the source text (`/etc/mail/access`) or the compiled map (`/etc/mail/access.db`)
   * @throws MilterError ERR_MILTER_ACCESS_MAP where it cannot be read or understood, or reaches a limit;
   *   ERR_MILTER_BAD_ARGUMENT for options that make no sense
   */
  static async open(file: string, options: AccessMapOptions = {}): Promise<AccessMap> {
    const map = new AccessMap(file, options);
    await map.reload();
    map.#schedule();
    return map;
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** The value of a key, in any letter case, or null. */
  get(key: string): string | null {
    return this.#entries.get(foldKey(key)) ?? null;
  }

  /**
   * Reads the file now if it has changed. Rejects where that fails, and the old entries stay.
   *
   * @returns whether there are new entries
   * @throws MilterError ERR_MILTER_ACCESS_MAP as {@link AccessMap.open}
   */
  reload(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Ends the looks at the file. The entries can still be asked for. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #schedule(): void {
    const interval = this.#options.pollInterval ?? 5000;
    if (interval === 0 || this.#closed) return;
    // unref: a map does not keep a process alive
    this.#timer = setTimeout(() => void this.#look().finally(() => this.#schedule()), interval).unref();
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    try {
      if ((await this.reload()) && !this.#closed) this.#options.onReload?.(this);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const told = error instanceof MilterError ? error : mapError(this.file, 'onReload failed', error);
    const trouble = `${this.#tried} ${told.message}`;
    if (this.#closed || trouble === this.#reported) return;
    this.#reported = trouble;
    try {
      const { onError } = this.#options;
      if (onError) onError(told);
      else writeLine(process.stderr, `tsmilter/policy: ${told.message}; the old entries stay`);
    } catch (failure) {
      writeLine(process.stderr, `tsmilter/policy: onError failed: ${String(failure)}`);
    }
  }

  async #read(): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      const version = await this.#currentVersion();
      if (version === this.#version) {
        this.#reported = undefined;
        return false;
      }
      this.#tried = version;
      let entries: Entries | undefined;
      let failure: unknown;
      try {
        entries = await this.#parse();
      } catch (error) {
        failure = error;
      }
      // Changed meanwhile: what was read may be half old and half new, and so may what is wrong with it.
      if ((await this.#currentVersion()) !== version) {
        if (tries < MAX_READ_ATTEMPTS) continue;
        throw mapError(this.file, `changes all the time: it was read ${tries} times; replace it by a rename`);
      }
      if (entries === undefined) throw this.#understood(failure);
      this.#version = version;
      this.#entries = entries;
      this.#reported = undefined;
      return true;
    }
  }

  #understood(failure: unknown): MilterError {
    if (failure instanceof MilterError) return failure;
    return mapError(this.file, `cannot be read: ${(failure as Error).message}`, failure);
  }

  async #currentVersion(): Promise<Version> {
    const found = await stat(this.file, { bigint: true }).catch((error: Error) => {
      throw mapError(this.file, `cannot be read: ${error.message}`, error);
    });
    // a pipe or a device would never end, or never begin
    if (!found.isFile()) throw mapError(this.file, 'is not a file');
    return [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
  }

  async #parse(): Promise<Entries> {
    const type = this.#options.type ?? (await detectType(this.file));
    const { maxEntries } = this.#limits;
    if (type === 'text') {
      return entriesOfText(
        this.file,
        linesOf(this.file, createReadStream(this.file), this.#limits),
        maxEntries,
      );
    }
    const dump = dumpOf(this.file, type, this.#options);
    return entriesOfDump(this.file, linesOf(this.file, dump, this.#limits), maxEntries);
  }
}
