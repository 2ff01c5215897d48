/** Modules of the user's own that a subcommand loads. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError } from './command.js';

/** The absolute path of a module. @throws UsageError for one that does not exist: an import would report that less clearly */
export function moduleFile(module: string): string {
  const path = resolve(module);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) return path;
  throw new UsageError(`${module}: ${found ? 'it is not a file' : 'there is no such file'}`);
}
