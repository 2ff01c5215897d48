import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directories = new Set<string>();
let removedAtExit = false;

/**
 * Makes a directory of the caller's own, which is removed when this process ends, if not before.
 * @param name what it is for, as a part of its name
 * @param mode its permissions. Default: 0o700
 */
export function privateDirectory(name: string, mode = 0o700): string {
  const directory = mkdtempSync(join(tmpdir(), `tsmilter-${name}-`));
  chmodSync(directory, mode);
  directories.add(directory);
  if (!removedAtExit) process.once('exit', () => directories.forEach(removeDirectory));
  removedAtExit = true;
  return directory;
}

/** Removes a directory with its content. */
export function removeDirectory(directory: string): void {
  directories.delete(directory);
  rmSync(directory, { recursive: true, force: true });
}
