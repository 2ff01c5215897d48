/** What is read from files, and is read again on SIGHUP and when one of them changes. */
import { unwatchFile, watchFile } from 'node:fs';

const INTERVAL_MS = 2000;

/** What was read: with the names of all files that it comes from. */
export interface FromFiles {
  readonly files: readonly string[];
}

export interface LiveFilesOptions<T> {
  /** Reads all files again; rejects if one of them is wrong. */
  readonly read: () => Promise<T>;
  /** Called when they have been read again. */
  readonly onReload: (because: string) => void;
  /** Called when they cannot be used: what was read before stays in use. */
  readonly onError: (error: Error) => void;
  /** Closes what has been replaced, or is not needed any more. It must not reject. Default: nothing. */
  readonly release?: (old: T) => void | Promise<void>;
}

export class LiveFiles<T extends FromFiles> {
  readonly #options: LiveFilesOptions<T>;
  readonly #changed = () => void this.reload('a file has changed').catch(() => {}); // it has been reported
  #current: T;
  #watched: readonly string[] = [];
  #reloading: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param first what was read at the start */
  constructor(first: T, options: LiveFilesOptions<T>) {
    this.#options = options;
    this.#current = first;
    this.#watch(first.files);
  }

  get current(): T {
    return this.#current;
  }

  /** Reads the files again, one reload after the other. If one of them is wrong, everything stays as it was, and the promise rejects. */
  reload(because: string): Promise<void> {
    const read = this.#reloading.then(() => this.#read(because));
    this.#reloading = read.catch(() => {});
    return read;
  }

  /** Waits for a reload under way, and releases what is in use. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watch([]);
    await this.#reloading;
    await this.#options.release?.(this.#current);
  }

  async #read(because: string): Promise<void> {
    if (this.#closed) return;
    const { read, onReload, onError, release } = this.#options;
    const old = this.#current;
    try {
      this.#current = await read();
    } catch (error) {
      onError(error as Error);
      throw error;
    }
    if (!this.#closed) this.#watch(this.#current.files);
    onReload(because);
    await release?.(old);
  }

  #watch(files: readonly string[]): void {
    for (const file of this.#watched) if (!files.includes(file)) unwatchFile(file, this.#changed);
    for (const file of files) {
      if (this.#watched.includes(file)) continue;
      watchFile(file, { interval: INTERVAL_MS, persistent: false }, this.#changed);
    }
    this.#watched = files;
  }
}
