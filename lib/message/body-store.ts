/** The body of a message while it is collected: in memory up to a size, what exceeds it in a temporary file. */
import type { FileHandle } from 'node:fs/promises';
import { MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { defaultSpoolDirectory, openSpoolFile } from './spool.js';

/** How bodies are kept. Sizes are in bytes. */
export interface StorageOptions {
  /** What exceeds this of a body goes to a temporary file. Default: 1 MiB. */
  readonly maxMemory?: number;
  /** What the bodies of all messages of this process may take in memory together; above it they go to files. Default: 64 MiB. */
  readonly maxTotalMemory?: number;
  /** The directory of temporary files, of this user alone. Default: `tsmilter-<uid>` below the system's. */
  readonly spoolDirectory?: string;
}

const STORAGE_OPTIONS: OptionNames<StorageOptions> = {
  maxMemory: true,
  maxTotalMemory: true,
  spoolDirectory: true,
};
const MEBIBYTE = 2 ** 20;

/** @internal The options with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function storageOptions(options: StorageOptions): Required<StorageOptions> {
  checkOptions('storage', options, STORAGE_OPTIONS);
  const {
    maxMemory = MEBIBYTE,
    maxTotalMemory = 64 * MEBIBYTE,
    spoolDirectory = defaultSpoolDirectory(),
  } = options;
  checkInteger('storage: maxMemory', maxMemory, 0);
  checkInteger('storage: maxTotalMemory', maxTotalMemory, 0, Number.MAX_SAFE_INTEGER);
  return { maxMemory, maxTotalMemory, spoolDirectory };
}

/** A file is read in pieces of this size. */
const PIECE = 64 * 1024;

/** Bytes that all stores of this process hold in memory. */
let total = 0;

export class BodyStore {
  readonly #options: Required<StorageOptions>;
  #chunks: Buffer[] = [];
  /** Bytes in #chunks: the beginning of the body. Moved to the file with the rest, they would be garbage just when memory is short. */
  #held = 0;
  #size = 0;
  #file: FileHandle | null = null;
  #disposed = false;

  constructor(options: Required<StorageOptions>) {
    this.#options = options;
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** Whether all of the body is in memory. */
  get inMemory(): boolean {
    return this.#file === null;
  }

  /** Adds a chunk. @throws MilterError ERR_MILTER_SPOOL; errors of the file system, as if the disk is full */
  async add(chunk: Buffer): Promise<void> {
    const { maxMemory, maxTotalMemory } = this.#options;
    const size = this.#size + chunk.length;
    if (this.#file === null && size <= maxMemory && total + chunk.length <= maxTotalMemory) {
      // A copy: a chunk is a window on the memory of a whole batch, which would be kept alive with it.
      this.#chunks.push(Buffer.from(chunk));
      this.#hold(chunk.length);
    } else {
      await this.#write(chunk);
    }
    this.#size = size;
  }

  /** The body in pieces, from its beginning; it may be read again. @throws MilterError ERR_MILTER_BAD_CONTEXT after the message */
  async *read(): AsyncGenerator<Buffer> {
    this.#requireOpen();
    for (const chunk of [...this.#chunks]) {
      this.#requireOpen();
      yield chunk;
    }
    if (this.#file !== null) yield* this.#readFile();
  }

  /** Forgets the body. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#hold(-this.#held);
    this.#chunks = [];
    // Waits for reads under way, so that none of them gets the descriptor of another file.
    await this.#file?.close();
  }

  /** Writes a chunk to the end of the file. */
  async #write(chunk: Buffer): Promise<void> {
    this.#requireOpen();
    this.#file ??= await openSpoolFile(this.#options.spoolDirectory);
    await writeAll(this.#file, chunk, this.#size - this.#held);
  }

  async *#readFile(): AsyncGenerator<Buffer> {
    const length = this.#size - this.#held;
    for (let position = 0; position < length; ) {
      this.#requireOpen();
      const piece = Buffer.allocUnsafe(Math.min(PIECE, length - position));
      const { bytesRead } = await (this.#file as FileHandle).read(piece, 0, piece.length, position);
      if (bytesRead === 0)
        throw new MilterError('ERR_MILTER_SPOOL', 'a temporary file is shorter than what was written to it');
      position += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  }

  #hold(bytes: number): void {
    this.#held += bytes;
    total += bytes;
  }

  #requireOpen(): void {
    if (this.#disposed)
      throw new MilterError('ERR_MILTER_BAD_CONTEXT', 'the message has ended, and its body is gone');
  }
}

/** A file system may write less than it is given. */
async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written);
    written += bytesWritten;
  }
}
