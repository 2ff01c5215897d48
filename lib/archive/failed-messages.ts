/** A private directory of messages that handlers failed on, bounded by their number and size. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { preparePrivateDirectory } from '../internal/private-directory.js';
import { syncDirectory } from '../internal/sync-directory.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { archiveError } from './archive-error.js';
import type { Chunks } from './from-lines.js';
import { factsLine, type SavedFacts } from './saved-message.js';

/** How much is kept. Sizes are in bytes. */
export interface FailedMessagesOptions {
  /** Messages; the oldest make room for a new one. Default: 1,000. */
  readonly maxFiles?: number;
  /** Bytes of all messages together. Default: 1 GiB. */
  readonly maxBytes?: number;
  /** Bytes of one message with its facts; a larger one is not saved. Default: 64 MiB, or `maxBytes` if it is less. */
  readonly maxMessageSize?: number;
}

const OPTIONS: OptionNames<FailedMessagesOptions> = { maxFiles: true, maxBytes: true, maxMessageSize: true };
const MEBIBYTE = 2 ** 20;
const SUFFIX = '.failed';
/** While it is written. */
const UNFINISHED = '.unfinished';
/** A file that is still unfinished after so many milliseconds was left by a process that was killed. */
const ABANDONED = 3_600_000;

interface Found {
  readonly path: string;
  readonly size: number;
  readonly time: number;
}

/** Messages that handlers failed on, one file each, with their sessions. Several processes may share the directory. */
export class FailedMessages {
  readonly #directory: string;
  readonly #options: Required<FailedMessagesOptions>;

  /**
   * Makes the directory, or takes away the rights that others have to it.
   * @throws MilterError ERR_MILTER_ARCHIVE for a directory of another user, ERR_MILTER_BAD_ARGUMENT; errors of the file system
   */
  constructor(directory: string, options: FailedMessagesOptions = {}) {
    checkWord('FailedMessages: directory', directory);
    checkOptions('FailedMessages', options, OPTIONS);
    const { maxFiles = 1000, maxBytes = 1024 * MEBIBYTE } = options;
    const { maxMessageSize = Math.min(64 * MEBIBYTE, maxBytes) } = options;
    checkInteger('FailedMessages: maxFiles', maxFiles, 1);
    checkInteger('FailedMessages: maxBytes', maxBytes, 1, Number.MAX_SAFE_INTEGER);
    checkInteger('FailedMessages: maxMessageSize', maxMessageSize, 1, maxBytes);
    preparePrivateDirectory(directory, () => archiveError(directory, 'is not a directory of this user'));
    this.#directory = directory;
    this.#options = { maxFiles, maxBytes, maxMessageSize };
  }

  /**
   * Saves a message: it is on the disk when this resolves to the path of its file. Names begin with the time, so the latest is the last.
   * @param message as it arrived, header fields and body with CRLF
   * @throws MilterError ERR_MILTER_ARCHIVE for a message larger than `maxMessageSize`; errors of the file system, such as ENOSPC
   */
  async save(facts: SavedFacts, message: Chunks): Promise<string> {
    const time = new Date(facts.savedAt).toISOString().replaceAll(':', '-');
    const path = join(this.#directory, `${time}-${randomBytes(6).toString('hex')}${SUFFIX}`);
    const unfinished = path + UNFINISHED;
    const file = await open(unfinished, 'wx', 0o600);
    try {
      const size = await this.#write(file, facts, message).finally(() => file.close());
      await this.#makeRoom(size);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
    await syncDirectory(this.#directory);
    return path;
  }

  /** The paths of the messages, the oldest first. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#directory);
    return names
      .filter((name) => name.endsWith(SUFFIX))
      .sort()
      .map((name) => join(this.#directory, name));
  }

  async #write(file: FileHandle, facts: SavedFacts, message: Chunks): Promise<number> {
    const { maxMessageSize } = this.#options;
    let size = 0;
    const write = async (piece: Uint8Array) => {
      size += piece.length;
      if (size > maxMessageSize) {
        const message = `a message with more than ${maxMessageSize} bytes is not saved (maxMessageSize)`;
        throw archiveError(this.#directory, message);
      }
      await file.appendFile(piece);
    };
    await write(factsLine(facts));
    for await (const piece of message) await write(piece);
    await file.sync();
    return size;
  }

  /** Removes the oldest messages until there is room for another one, and what killed processes have left. */
  async #makeRoom(size: number): Promise<void> {
    const { maxFiles, maxBytes } = this.#options;
    const names = await readdir(this.#directory);
    const left = names.filter((name) => name.endsWith(SUFFIX + UNFINISHED));
    for (const { path, time } of await this.#found(left))
      if (Date.now() - time > ABANDONED) await remove(path);

    const messages = await this.#found(names.filter((name) => name.endsWith(SUFFIX)).sort());
    let files = messages.length + 1;
    let bytes = messages.reduce((sum, message) => sum + message.size, size);
    for (const message of messages) {
      if (files <= maxFiles && bytes <= maxBytes) return;
      await remove(message.path);
      files--;
      bytes -= message.size;
    }
  }

  async #found(names: readonly string[]): Promise<Found[]> {
    const found: Found[] = [];
    for (const name of names) {
      const path = join(this.#directory, name);
      const stats = await stat(path).catch(ignoreMissing);
      if (stats) found.push({ path, size: stats.size, time: stats.mtimeMs });
    }
    return found;
  }
}

/** Another process that shares the directory may have removed the same file. */
function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

const remove = (path: string): Promise<void> => unlink(path).catch(ignoreMissing);
