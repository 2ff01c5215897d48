import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The project's folder. Tests and tools run compiled, some folders below their sources. */
export const projectRoot = findProjectRoot(__dirname);

function findProjectRoot(dir: string): string {
  if (existsSync(join(dir, 'package.json'))) return dir;
  const parent = dirname(dir);
  if (parent === dir) throw new Error(`no package.json above ${__dirname}`);
  return findProjectRoot(parent);
}
