/** A copy of the message in a file that only the filter's user can read. */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export class Spool {
  readonly path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async create(): Promise<Spool> {
    const path = join(tmpdir(), `tsmilter-sample-${randomUUID()}`);
    return new Spool(path, await open(path, 'wx+', 0o600));
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#file.appendFile(bytes);
  }

  /** Reads the message from its beginning. */
  read(): Readable {
    return this.#file.createReadStream({ start: 0, autoClose: false });
  }

  async remove(): Promise<void> {
    await this.#file.close();
    await rm(this.path, { force: true });
  }
}
