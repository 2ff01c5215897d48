/** Reads files that hold secrets: private keys, and the secrets of SRS. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { configError } from './config-error.js';

/** Who may read a file with a secret. */
export interface PrivateFileOptions {
  /**
   * The permission bits that the file may have at most: `0o640` lets its group read it. Bits that let others than the owner write
   * are not allowed here. Default: `0o600`.
   */
  readonly maxMode?: number;
  /** Maximum size in bytes. Default: 65,536. */
  readonly maxBytes?: number;
}

const OPTIONS: OptionNames<PrivateFileOptions> = { maxMode: true, maxBytes: true };
const PERMISSIONS = 0o777;
const WRITE_BY_OTHERS = 0o022;
const MAX_BYTES = 65_536;

/**
 * Reads a file with a secret, if only those may read it who should.
 *
 * Symbolic links are followed, since tools that renew keys work with them. What is checked is the file that was opened, not its
 * name: a regular file that belongs to root or to the user of this process. So whoever can replace a link, or rename
 * something else to the name, still cannot pass off a file of their own.
 *
 * @throws MilterError ERR_MILTER_CONFIG if the file cannot be read, belongs to another user, is open to others, or is too
 *   large; ERR_MILTER_BAD_ARGUMENT for a bad option
 */
export async function readPrivateFile(file: string, options: PrivateFileOptions = {}): Promise<Buffer> {
  checkOptions('readPrivateFile', options, OPTIONS);
  const { maxMode = 0o600, maxBytes = MAX_BYTES } = options;
  checkInteger('readPrivateFile: maxMode', maxMode, 0, PERMISSIONS);
  checkInteger('readPrivateFile: maxBytes', maxBytes, 1);
  if ((maxMode & WRITE_BY_OTHERS) !== 0) {
    throw badArgument('readPrivateFile: maxMode must not let the group or others write');
  }
  // O_NONBLOCK: opening a named pipe would otherwise wait until something writes to it.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: Error) => {
    throw configError(`${file}: cannot be read: ${error.message}`);
  });
  try {
    await checkFile(handle, file, maxMode);
    return await readAtMost(handle, file, maxBytes);
  } finally {
    await handle.close();
  }
}

async function checkFile(handle: FileHandle, file: string, maxMode: number): Promise<void> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw configError(`${file}: not a regular file`);
  const user = process.geteuid?.() ?? 0;
  if (stats.uid !== 0 && stats.uid !== user) {
    throw configError(
      `${file}: belongs to user ${stats.uid}; it must belong to root or to the user of this process, ${user}`,
    );
  }
  const mode = stats.mode & PERMISSIONS;
  if ((mode & ~maxMode) !== 0) {
    throw configError(
      `${file}: its mode is ${octal(mode)}, which others may use: chmod ${octal(mode & maxMode)} ${file}`,
    );
  }
}

/** The size that stat reports may change before the end is read. */
async function readAtMost(handle: FileHandle, file: string, maxBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(maxBytes + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  throw configError(`${file}: larger than ${maxBytes} bytes (option maxBytes)`);
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
