/** Private temporary files for bodies that are too large for memory. */
import { type FileHandle, open, readdir, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MilterError } from '../internal/errors.js';
import { preparePrivateDirectory } from '../internal/private-directory.js';

/** A file that was left in the directory is removed once it is this old, in milliseconds. */
const ABANDONED = 60_000;

/** Directories that this process has checked. */
const ready = new Set<string>();
let count = 0;

/** The directory of spool files unless a filter names one: this user's own, below the system's temporary directory. */
export function defaultSpoolDirectory(): string {
  return join(tmpdir(), `tsmilter-${process.getuid?.() ?? 'user'}`);
}

/**
 * Opens an empty file for reading and writing which has no name any more, so that the system removes it in every ending of
 * this process, even kill -9.
 * @throws MilterError ERR_MILTER_SPOOL if the directory belongs to another user; errors of the file system
 */
export async function openSpoolFile(directory: string): Promise<FileHandle> {
  await prepare(directory);
  const path = join(directory, `${process.pid}-${Date.now().toString(36)}-${count++}`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Makes the directory, or checks that no other user can read it, and removes what a killed process left there. */
async function prepare(directory: string): Promise<void> {
  if (ready.has(directory)) return;
  preparePrivateDirectory(
    directory,
    (message) =>
      new MilterError('ERR_MILTER_SPOOL', `${message}: remove it, or name another one in spoolDirectory`),
  );
  ready.add(directory);
  await removeAbandoned(directory);
}

/** Between its making and its unlinking a file has a name, and keeps it if the process is killed just then. */
async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    try {
      const found = await stat(path);
      if (found.isFile() && Date.now() - found.mtimeMs > ABANDONED) await unlink(path);
    } catch {
      // Another process removes it too.
    }
  }
}
