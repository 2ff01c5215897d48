/** systemd's own checks of unit files. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { unwatched } from './unwatched';

/** Runs systemd-analyze. @throws Error if it cannot be started */
export function analyze(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', args, {
    encoding: 'utf8',
    env: unwatched,
  });
  if (error) throw error;
  return { status, output: stdout + stderr };
}

/** Puts this Node into unit files: systemd looks for the program, which may be in another place than /usr/bin. */
export function nameThisNode(files: readonly string[]): void {
  for (const file of files) {
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('/usr/bin/node', process.execPath));
  }
}
