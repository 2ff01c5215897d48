/** The configuration in use, which is read again on SIGHUP and when the file changes. */
import { unwatchFile, watchFile } from 'node:fs';
import { type Config, readConfig } from './config';
import type { AnyRule } from './rule';

const INTERVAL_MS = 2000;

type Report = (message: string) => void;

export class LiveConfig {
  readonly #file: string;
  readonly #rules: readonly AnyRule[];
  readonly #report: Report;
  readonly #changed = () => void this.reload('a file has changed').catch(() => {}); // it has been reported
  #current: Config;
  #watched: readonly string[] = [];
  #reloading: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(file: string, rules: readonly AnyRule[], report: Report, config: Config) {
    this.#file = file;
    this.#rules = rules;
    this.#report = report;
    this.#current = config;
    this.#watch(config.files);
  }

  /**
   * @param report gets a line for each reload, and for what goes wrong later
   * @throws as readConfig, if the file cannot be used the first time
   */
  static async open(file: string, rules: readonly AnyRule[], report: Report): Promise<LiveConfig> {
    return new LiveConfig(file, rules, report, await readConfig(file, rules, report));
  }

  get current(): Config {
    return this.#current;
  }

  /** The configuration for a session that begins now. The session releases its resources at its end. */
  use(): Config {
    this.#current.resources.use();
    return this.#current;
  }

  /** Reads the file again. If it is wrong, that is reported, everything stays as it was, and the promise rejects. */
  reload(because: string): Promise<void> {
    const read = this.#reloading.then(() => this.#read(because));
    this.#reloading = read.catch(() => {});
    return read;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch([]);
    await this.#reloading;
    await this.#current.resources.release();
  }

  async #read(because: string): Promise<void> {
    if (this.#closed) return;
    const old = this.#current;
    try {
      this.#current = await readConfig(this.#file, this.#rules, this.#report);
    } catch (error) {
      this.#report(`CONFIG ${(error as Error).message}; the old configuration stays in use`);
      throw error;
    }
    if (!this.#closed) this.#watch(this.#current.files);
    this.#report(`CONFIG was read again: ${because}`);
    try {
      await old.resources.release();
    } catch (error) {
      this.#report(`CONFIG what the old one used cannot be closed: ${(error as Error).message}`);
    }
  }

  #watch(files: readonly string[]): void {
    for (const file of this.#watched) if (!files.includes(file)) unwatchFile(file, this.#changed);
    for (const file of files) {
      if (!this.#watched.includes(file))
        watchFile(file, { interval: INTERVAL_MS, persistent: false }, this.#changed);
    }
    this.#watched = files;
  }
}
