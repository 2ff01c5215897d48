/** An access map in memory, which is reloaded when its file changes. */
import { createReadStream } from 'node:fs';
import { badArgument, type MilterError } from '../internal/errors.js';
import { LargeMap } from '../internal/large-map.js';
import { linesOf } from '../internal/lines.js';
import { type FileErrors, ReloadedFile } from '../internal/reloaded-file.js';
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

const POLL_INTERVAL_MS = 5000;

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
  readonly #fail: FileErrors = (message, cause) => mapError(this.file, message, cause);
  readonly #source: ReloadedFile<Entries>;

  private constructor(file: string, options: AccessMapOptions) {
    checkArguments(file, options);
    this.file = file;
    this.separator = options.separator ?? ':';
    this.#options = options;
    this.#limits = limitsOf(options);
    this.#source = new ReloadedFile<Entries>(new LargeMap<string>(), {
      file,
      parse: () => this.#parse(),
      fail: this.#fail,
      module: 'tsmilter/policy',
      pollInterval: options.pollInterval ?? POLL_INTERVAL_MS,
      onReload: () => options.onReload?.(this),
      onError: options.onError,
    });
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
    map.#source.watch();
    return map;
  }

  /** The number of entries. */
  get size(): number {
    return this.#source.contents.size;
  }

  /** The value of a key in any letter case, or null if there is none. */
  get(key: string): string | null {
    return this.#source.contents.get(foldKey(key)) ?? null;
  }

  /**
   * Reads the file if it has changed. If that fails, the old entries stay in use.
   *
   * @returns whether the file was read again
   * @throws MilterError ERR_MILTER_ACCESS_MAP as {@link AccessMap.open}
   */
  reload(): Promise<boolean> {
    return this.#source.reload();
  }

  /** Stops checking the file for changes. The entries remain available. */
  close(): void {
    this.#source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #parse(): Promise<Entries> {
    const type = this.#options.type ?? (await detectType(this.file));
    const { maxEntries } = this.#limits;
    if (type === 'text') {
      return entriesOfText(
        this.file,
        linesOf(createReadStream(this.file), this.#limits, this.#fail),
        maxEntries,
      );
    }
    const dump = dumpOf(this.file, type, this.#options);
    return entriesOfDump(this.file, linesOf(dump, this.#limits, this.#fail), maxEntries);
  }
}
