/** How to build the addon again, with the package manager that installed this package. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * What to run, by the lock file that a package manager keeps in the project. Most managers skip an install script until
 * it is allowed, so the addon may never have been built.
 */
const COMMANDS: readonly (readonly [lockFile: string, command: string])[] = [
  ['pnpm-lock.yaml', '`pnpm rebuild tsmilter`, after `pnpm approve-builds`'],
  [
    'yarn.lock',
    '`yarn rebuild tsmilter`, with "dependenciesMeta": { "tsmilter": { "built": true } } in package.json ' +
      '(Yarn 1: `yarn install --force`)',
  ],
  ['bun.lock', '`bun pm trust tsmilter`, or `bun install --force` if it is trusted already'],
  ['package-lock.json', '`npm rebuild tsmilter`'],
];

/** The command, for an installation in or below the project's directory. */
export function rebuildCommand(directory: string = __dirname): string {
  const found = COMMANDS.find(([lockFile]) => existsSync(join(directory, lockFile)));
  if (found) return found[1];
  const parent = dirname(directory);
  return parent === directory ? '`npm rebuild tsmilter`' : rebuildCommand(parent);
}
