/** The settings in use, which are read again on SIGHUP and when a file of theirs changes. */
import { unwatchFile, watchFile } from 'node:fs';
import type { Log } from '../shared/log';
import { readSettings, type Settings } from './settings';

const INTERVAL = 2000;

export class LiveSettings {
  readonly #file: string;
  readonly #changed = () => void this.reload('a file has changed').catch(() => {}); // it has been logged
  #current: Settings;
  #watched: readonly string[] = [];
  #reloading: Promise<void> = Promise.resolve();
  #closed = false;
  #log: Log | null = null;

  private constructor(file: string, settings: Settings) {
    this.#file = file;
    this.#current = settings;
    this.#watch(settings.files);
  }

  /** @throws as readSettings, if they cannot be used the first time */
  static async open(file: string): Promise<LiveSettings> {
    return new LiveSettings(file, await readSettings(file));
  }

  /** Where reloads are reported; the name of the log is one of the settings. */
  reportTo(log: Log): void {
    this.#log = log;
  }

  /** The settings for a message that begins now; it keeps them to its end. */
  get current(): Settings {
    return this.#current;
  }

  /** Reads all files again. If one of them is wrong, that is logged, everything stays as it was, and the promise rejects. */
  reload(because: string): Promise<void> {
    const read = this.#reloading.then(() => this.#read(because));
    this.#reloading = read.catch(() => {});
    return read;
  }

  close(): void {
    this.#closed = true;
    this.#watch([]);
  }

  async #read(because: string): Promise<void> {
    try {
      const settings = await readSettings(this.#file);
      if (this.#closed) return;
      this.#current = settings;
      this.#watch(settings.files);
      this.#log?.write(`settings were read again: ${because}`);
    } catch (error) {
      this.#log?.write(`${(error as Error).message}; the old settings stay in use`);
      throw error;
    }
  }

  #watch(files: readonly string[]): void {
    for (const file of this.#watched) if (!files.includes(file)) unwatchFile(file, this.#changed);
    for (const file of files) {
      if (this.#watched.includes(file)) continue;
      watchFile(file, { interval: INTERVAL, persistent: false }, this.#changed);
    }
    this.#watched = files;
  }
}
