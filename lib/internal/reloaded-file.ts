/** The contents of a file, which are read again when the file changes. */
import { stat } from 'node:fs/promises';
import { MilterError } from './errors.js';
import { writeLine } from './output.js';

/** Creates an error about the file. */
export type FileErrors = (message: string, cause?: unknown) => MilterError;

/** How a file is read and watched. */
export interface ReloadedFileOptions<Contents> {
  readonly file: string;
  /** Reads and parses the file. */
  readonly parse: () => Promise<Contents>;
  readonly fail: FileErrors;
  /** The entry point, for the line on stderr: `tsmilter/policy`. */
  readonly module: string;
  /** Milliseconds between checks for changes of the file; 0 disables them. */
  readonly pollInterval: number;
  readonly onReload: () => void;
  /** Called once for each version of the file that cannot be read. Default: writes a line to stderr. */
  readonly onError: ((error: MilterError) => void) | undefined;
}

/** Identifies a version of the file. It changes when the file is modified or replaced. */
type Version = string;

/** A file that changes while it is being read is read again, up to this many times. */
const MAX_READ_ATTEMPTS = 5;

/** Holds the contents of a file and keeps them current. If a changed file cannot be read, the old contents stay in use. */
export class ReloadedFile<Contents> {
  readonly #options: ReloadedFileOptions<Contents>;
  #contents: Contents;
  /** The version from which the contents were read. */
  #version: Version | undefined;
  /** The version that was last read, successfully or not. */
  #attempted: Version | undefined;
  /** The last error that was reported, with its version. */
  #reported: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<boolean> | undefined;
  #closed = false;

  /** @param empty the contents until the first `reload` */
  constructor(empty: Contents, options: ReloadedFileOptions<Contents>) {
    this.#contents = empty;
    this.#options = options;
  }

  get contents(): Contents {
    return this.#contents;
  }

  /** Reads the file if it has changed. @returns whether it was read again */
  reload(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Begins to check the file for changes. */
  watch(): void {
    const { pollInterval } = this.#options;
    if (pollInterval === 0 || this.#closed) return;
    // unref(), because a file should not keep the process alive
    this.#timer = setTimeout(() => void this.#poll().finally(() => this.watch()), pollInterval).unref();
  }

  /** Stops checking the file for changes. The contents remain available. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    try {
      if ((await this.reload()) && !this.#closed) this.#options.onReload();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const { fail, module, onError } = this.#options;
    const reported = error instanceof MilterError ? error : fail('onReload failed', error);
    const key = `${this.#attempted} ${reported.message}`;
    if (this.#closed || key === this.#reported) return;
    this.#reported = key;
    try {
      if (onError) onError(reported);
      else writeLine(process.stderr, `${module}: ${reported.message}; the old entries stay in use`);
    } catch (failure) {
      writeLine(process.stderr, `${module}: onError failed: ${String(failure)}`);
    }
  }

  async #read(): Promise<boolean> {
    const { fail, parse } = this.#options;
    for (let tries = 1; ; tries++) {
      const version = await this.#currentVersion();
      if (version === this.#version) {
        this.#reported = undefined;
        return false;
      }
      this.#attempted = version;
      const read = await parse().then(
        (contents) => ({ contents }),
        (failure: unknown) => ({ failure }),
      );
      // If the file has changed meanwhile, the contents or the error may come from a mixture of old and new content.
      if ((await this.#currentVersion()) !== version) {
        if (tries < MAX_READ_ATTEMPTS) continue;
        throw fail(`changed during each of ${tries} attempts to read it; replace it by renaming a new file`);
      }
      if ('failure' in read) throw this.#asMilterError(read.failure);
      this.#version = version;
      this.#contents = read.contents;
      this.#reported = undefined;
      return true;
    }
  }

  #asMilterError(failure: unknown): MilterError {
    if (failure instanceof MilterError) return failure;
    return this.#options.fail(`cannot be read: ${(failure as Error).message}`, failure);
  }

  async #currentVersion(): Promise<Version> {
    const { file, fail } = this.#options;
    const found = await stat(file, { bigint: true }).catch((error: Error) => {
      throw fail(`cannot be read: ${error.message}`, error);
    });
    // Reading a pipe or a device might never end.
    if (!found.isFile()) throw fail('is not a regular file');
    return [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
  }
}
