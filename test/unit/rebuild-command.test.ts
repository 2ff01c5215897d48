// The advice of ERR_MILTER_ADDON: the package manager is told by its lock file.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rebuildCommand } from '#lib/addon/rebuild-command.js';

describe('the command that builds the addon again', () => {
  let project: string;
  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), 'tsmilter-rebuild-'));
  });
  afterEach(() => rmSync(project, { recursive: true }));

  it.each([
    ['package-lock.json', 'node_modules/tsmilter/dist', /^`npm rebuild tsmilter`$/],
    ['pnpm-lock.yaml', 'node_modules/.pnpm/tsmilter@1.0.0/node_modules/tsmilter/dist', /pnpm approve-builds/],
    [
      'yarn.lock',
      '.yarn/unplugged/tsmilter-npm-1.0.0/node_modules/tsmilter/dist',
      /^`yarn rebuild tsmilter`/,
    ],
    ['bun.lock', 'node_modules/tsmilter/dist', /^`bun pm trust tsmilter`/],
  ])('with %s', (lockFile, installation, command) => {
    const folder = join(project, installation);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(project, lockFile), '');
    expect(rebuildCommand(folder)).toMatch(command);
  });

  it('without a lock file: that of npm', () => {
    expect(rebuildCommand(project)).toBe('`npm rebuild tsmilter`');
  });
});
