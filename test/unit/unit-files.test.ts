/** The unit files in examples/systemd: systemd accepts them, and README.md shows them as they are. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { readPages } from '../support/docs/pages';
import { itUnless } from '../support/skip';

const folder = join(projectRoot, 'examples/systemd');
const noSystemd = spawnSync('systemd-analyze', ['--version']).status !== 0 && 'there is no systemd-analyze';

/** The lines of a unit file that say something. */
const linesOf = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const unitLines = (file: string): string[] => linesOf(readFileSync(join(folder, file), 'utf8'));

describe('unit files', () => {
  for (const variant of readdirSync(folder)) {
    itUnless(noSystemd, `systemd accepts ${variant}`, () => {
      const copy = mkdtempSync(join(tmpdir(), 'tsmilter-units-'));
      try {
        cpSync(join(folder, variant), copy, { recursive: true });
        const units = readdirSync(copy).map((name) => join(copy, name));
        // systemd looks for the program, and Node may be in another place here.
        for (const unit of units)
          writeFileSync(unit, readFileSync(unit, 'utf8').replace('/usr/bin/node', process.execPath));
        const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...units], {
          encoding: 'utf8',
        });
        expect({ status, output: stdout + stderr }).toStrictEqual({ status: 0, output: '' });
      } finally {
        rmSync(copy, { recursive: true });
      }
    });
  }
});

describe('unit files in README.md', () => {
  const shown = (readPages().find(({ path }) => path === 'README.md')?.blocks ?? [])
    .map(({ text }) => linesOf(text))
    .filter((lines) => lines.some((line) => ['[Service]', '[Socket]'].includes(line)));

  it('are the one for a chroot and the differences of the others', () => {
    const [chroot, run, socket, ...more] = shown;
    expect(more).toStrictEqual([]);
    expect(chroot).toStrictEqual(unitLines('postfix-chroot/nolottery.service'));
    expect(unitLines('run/nolottery.service')).toStrictEqual(expect.arrayContaining(run as string[]));
    expect(unitLines('socket-activation/nolottery.socket')).toStrictEqual(
      expect.arrayContaining(socket as string[]),
    );
  });
});
