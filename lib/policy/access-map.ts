/** An access map in memory, which is reloaded when its file changes. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { badArgument, MilterError } from '../internal/errors.js';
import { LargeMap } from '../internal/large-map.js';
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

/** Options for reading an access map. */
export interface AccessMapOptions extends MapLimits, DumpPrograms {
  /** The type of the file. Default: detected from its first bytes. */
  readonly type?: MapType;
  /** The separator between a prefix and the rest of a key. Default: `:`. */
  readonly separator?: ':' | '!';
  /** Milliseconds between checks for changes of the file; 0 disables them. Default: 5,000. */
  readonly pollInterval?: number;
  /** Called after a changed file has been read. Default: not called. */
  readonly onReload?: (map: AccessMap) => void;
  /**
   * Called if a changed file cannot be read, or has been removed; the old entries stay in use. It is called once for each such
   * version of the file. Default: writes a line to stderr.
   */
  readonly onError?: (error: MilterError) => void;
}

/** Identifies a version of the file. It changes when the file is modified or replaced. */
type Version = string;

/** A file that changes while it is being read is read again, up to this many times. */
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
 * Sendmail's access map: the source text, or a database that `makemap` or `postmap` has compiled from it. Open it once, when
 * the filter starts; changes of the file are picked up without a restart.
 *
 * Replace a source text by renaming a new file to it. If a program writes to the existing file and pauses, half of the
 * content may be read, and all of it only a moment later. Compiled maps are locked while `makemap` or `postmap` writes them.
 */
export class AccessMap implements Disposable {
  /** The file's path. */
  readonly file: string;
  /** The separator between a prefix and the rest of a key. */
  readonly separator: ':' | '!';
  readonly #options: AccessMapOptions;
  readonly #limits: Required<MapLimits>;
  #entries: Entries = new LargeMap<string>();
  /** The version from which the entries were read. */
  #version: Version | undefined;
  /** The version that was last read, successfully or not. */
  #attempted: Version | undefined;
  /** The last error that was reported, with its version. */
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
   * @throws MilterError ERR_MILTER_ACCESS_MAP if it cannot be read, is malformed, or exceeds a limit; ERR_MILTER_BAD_ARGUMENT
   *   for invalid options
   */
  static async open(file: string, options: AccessMapOptions = {}): Promise<AccessMap> {
    const map = new AccessMap(file, options);
    await map.reload();
    map.#schedule();
    return map;
  }

  /** The number of entries. */
  get size(): number {
    return this.#entries.size;
  }

  /** The value of a key in any letter case, or null if there is none. */
  get(key: string): string | null {
    return this.#entries.get(foldKey(key)) ?? null;
  }

  /**
   * Reads the file if it has changed. If that fails, the old entries stay in use.
   *
   * @returns whether the file was read again
   * @throws MilterError ERR_MILTER_ACCESS_MAP as {@link AccessMap.open}
   */
  reload(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Stops checking the file for changes. The entries remain available. */
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
    // unref(), because a map should not keep the process alive
    this.#timer = setTimeout(() => void this.#poll().finally(() => this.#schedule()), interval).unref();
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    try {
      if ((await this.reload()) && !this.#closed) this.#options.onReload?.(this);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const reported = error instanceof MilterError ? error : mapError(this.file, 'onReload failed', error);
    const key = `${this.#attempted} ${reported.message}`;
    if (this.#closed || key === this.#reported) return;
    this.#reported = key;
    try {
      const { onError } = this.#options;
      if (onError) onError(reported);
      else writeLine(process.stderr, `tsmilter/policy: ${reported.message}; the old entries stay in use`);
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
      this.#attempted = version;
      let entries: Entries | undefined;
      let failure: unknown;
      try {
        entries = await this.#parse();
      } catch (error) {
        failure = error;
      }
      // If the file has changed meanwhile, the entries or the error may come from a mixture of old and new content.
      if ((await this.#currentVersion()) !== version) {
        if (tries < MAX_READ_ATTEMPTS) continue;
        throw mapError(
          this.file,
          `changed during each of ${tries} attempts to read it; replace it by renaming a new file`,
        );
      }
      if (entries === undefined) throw this.#asMilterError(failure);
      this.#version = version;
      this.#entries = entries;
      this.#reported = undefined;
      return true;
    }
  }

  #asMilterError(failure: unknown): MilterError {
    if (failure instanceof MilterError) return failure;
    return mapError(this.file, `cannot be read: ${(failure as Error).message}`, failure);
  }

  async #currentVersion(): Promise<Version> {
    const found = await stat(this.file, { bigint: true }).catch((error: Error) => {
      throw mapError(this.file, `cannot be read: ${error.message}`, error);
    });
    // Reading a pipe or a device might never end.
    if (!found.isFile()) throw mapError(this.file, 'is not a regular file');
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
