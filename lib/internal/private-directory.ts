/** Directories of files that no other user may read. */
import { chmodSync, lstatSync, mkdirSync } from 'node:fs';

/**
 * Makes the directory, or checks that it belongs to this user, and takes away the rights of others.
 *
 * @param fail makes the error for a directory of another user, or something that is not a directory
 * @throws the error of `fail`; errors of the file system
 */
export function preparePrivateDirectory(directory: string, fail: (message: string) => Error): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (!found.isDirectory() || (process.geteuid && found.uid !== process.geteuid())) {
    throw fail(`${directory} is not a directory of this user`);
  }
  if (found.mode & 0o077) chmodSync(directory, 0o700);
}
