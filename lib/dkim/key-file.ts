/** A private key in a file, which is read again when the file changes. */
import type { KeyObject } from 'node:crypto';
import { type Stats, unwatchFile, watchFile } from 'node:fs';
import { readPrivateFile } from '../config/index.js';
import { MilterError } from '../internal/errors.js';
import { writeLine } from '../internal/output.js';
import {
  checkFunctionOrNull,
  checkInteger,
  checkOptions,
  checkWord,
  type OptionNames,
} from '../internal/validate.js';
import { signingKey } from './signing-key.js';

/** How a key file is read. */
export interface ReadKeyFileOptions {
  /** The permission bits that the file may have at most; `0o640` lets its group read it. Default: `0o600`. */
  readonly maxMode?: number;
}

/** How a key file is read, and watched. */
export interface KeyFileOptions extends ReadKeyFileOptions {
  /** Milliseconds between checks for changes of the file; 0 disables them. Default: 5,000. */
  readonly pollInterval?: number;
  /** Called after a changed file has been read. Default: not called. */
  readonly onReload?: (file: KeyFile) => void;
  /**
   * Called if a changed file has no usable key, or has been removed; the old key stays in use. Default: writes a line to
   * stderr.
   */
  readonly onError?: (error: MilterError) => void;
}

const OPTIONS: OptionNames<KeyFileOptions> = {
  maxMode: true,
  pollInterval: true,
  onReload: true,
  onError: true,
};
const POLL_INTERVAL = 5000;

/**
 * Reads a private key from a file: PEM (PKCS#8 or PKCS#1, not encrypted), or base64 of such a key or of an Ed25519 seed, for RSA
 * or Ed25519.
 *
 * The file must belong to root or to the user of this process, and must not be open to others; symbolic links are followed,
 * and the file that they lead to is checked.
 *
 * @throws MilterError ERR_MILTER_BAD_KEY if the file cannot be read, is open to others, or holds no key that can sign mail.
 *   The message names the file and quotes nothing of it.
 */
export async function readKeyFile(file: string, options: ReadKeyFileOptions = {}): Promise<KeyObject> {
  try {
    const content = await readPrivateFile(file, options);
    return signingKey(content.toString('latin1').trim()).key;
  } catch (error) {
    if (!(error instanceof MilterError) || error.code === 'ERR_MILTER_BAD_ARGUMENT') throw error;
    const message = error.code === 'ERR_MILTER_BAD_KEY' ? `${file}: ${error.message}` : error.message;
    throw new MilterError('ERR_MILTER_BAD_KEY', message, { cause: error });
  }
}

/**
 * A private key that is replaced while the program runs. Open it once, and pass {@link KeyFile.key} to each new
 * {@link DkimSigner}; a message in progress keeps the key with which it began.
 *
 * Write a new key to another file and rename it, so that no half of it is ever read.
 */
export class KeyFile implements Disposable {
  /** The file's path. */
  readonly file: string;
  readonly #options: KeyFileOptions;
  readonly #changed: (now: Stats) => void;
  #key!: KeyObject;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(file: string, options: KeyFileOptions) {
    checkWord('KeyFile: file', file);
    checkOptions('KeyFile', options, OPTIONS);
    checkInteger('KeyFile: pollInterval', options.pollInterval ?? 0, 0);
    checkFunctionOrNull('KeyFile: onReload', options.onReload ?? null);
    checkFunctionOrNull('KeyFile: onError', options.onError ?? null);
    this.file = file;
    this.#options = options;
    this.#changed = () => void this.#poll();
  }

  /**
   * Reads the key, and watches the file from then on.
   *
   * @throws MilterError ERR_MILTER_BAD_KEY as {@link readKeyFile}; ERR_MILTER_BAD_ARGUMENT for a bad option
   */
  static async open(file: string, options: KeyFileOptions = {}): Promise<KeyFile> {
    const opened = new KeyFile(file, options);
    opened.#watch(); // before the first look, so that no change in between is missed
    try {
      await opened.reload();
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  /** The key that was read last. */
  get key(): KeyObject {
    return this.#key;
  }

  /**
   * Reads the file now. If that fails, the old key stays in use.
   *
   * @throws MilterError ERR_MILTER_BAD_KEY as {@link readKeyFile}
   */
  reload(): Promise<void> {
    // One after the other, so that the key read last is the newest.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#read());
    return this.#reading;
  }

  /** Stops watching the file. The key remains available. */
  close(): void {
    this.#closed = true;
    unwatchFile(this.file, this.#changed);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(): void {
    const interval = this.#options.pollInterval ?? POLL_INTERVAL;
    // Not persistent, because a key should not keep the process alive.
    if (interval > 0) watchFile(this.file, { interval, persistent: false }, this.#changed);
  }

  async #read(): Promise<void> {
    const { maxMode } = this.#options;
    this.#key = await readKeyFile(this.file, maxMode === undefined ? {} : { maxMode });
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    try {
      await this.reload();
      if (!this.#closed) this.#options.onReload?.(this);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    if (this.#closed) return;
    const { onError } = this.#options;
    const failure =
      error instanceof MilterError
        ? error
        : new MilterError('ERR_MILTER_BAD_KEY', `${this.file}: ${String(error)}`);
    try {
      if (onError) onError(failure);
      else writeLine(process.stderr, `tsmilter/dkim: ${failure.message}; the old key stays in use`);
    } catch (thrown) {
      writeLine(process.stderr, `tsmilter/dkim: onError failed: ${String(thrown)}`);
    }
  }
}
