/** Units of systemd, those of examples/systemd and those that `tsmilter init` writes: systemd accepts them, and finds them safe. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { projectFiles } from '#lib/cli/init/files.js';
import { MTAS } from '#lib/cli/init/project.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory';
import { projectRoot } from '../../tools/project-root';
import { readPages } from '../support/docs/pages';
import { analyze, nameThisNode } from '../support/systemd';

const examples = join(projectRoot, 'examples/systemd');
/** The most exposed that `systemd-analyze security` may find a service: 2.0, in tenths. */
const THRESHOLD = 20;

/** The lines of a unit file that say something. */
const linesOf = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const unitLines = (file: string): string[] => linesOf(readFileSync(join(examples, file), 'utf8'));

const security = (unit: string) =>
  analyze('security', '--offline=true', `--threshold=${THRESHOLD}`, '--no-pager', unit);

/** Calls `use` with a copy of the units that `write` puts into a directory. */
function withUnits(write: (directory: string) => void, use: (units: readonly string[]) => void): void {
  const directory = privateDirectory('units', 0o755);
  try {
    write(directory);
    const units = readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:service|socket|conf)$/.test(name))
      .map((name) => join(directory, name));
    nameThisNode(units);
    use(units.filter((unit) => !unit.endsWith('.conf')));
  } finally {
    removeDirectory(directory);
  }
}

const SETS: Record<string, (directory: string) => void> = {};
for (const variant of readdirSync(examples)) {
  SETS[`examples/systemd/${variant}`] = (directory) =>
    cpSync(join(examples, variant), directory, { recursive: true });
}
for (const mta of MTAS) {
  SETS[`those of tsmilter init --mta ${mta}`] = (directory) => {
    const project = { name: 'nolottery', language: 'typescript', mta, tsmilter: '*' } as const;
    for (const [file, text] of Object.entries(projectFiles(project))) {
      if (!file.startsWith('systemd/')) continue;
      const path = join(directory, file.slice('systemd/'.length));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  };
}

describe('unit files', () => {
  for (const [title, write] of Object.entries(SETS)) {
    it(`systemd accepts ${title}`, () => {
      withUnits(write, (units) => {
        expect(units.length).toBeGreaterThan(0);
        expect(analyze('verify', ...units)).toStrictEqual({ status: 0, output: '' });
      });
    });

    it(`systemd rates ${title} at 2.0 or less`, () => {
      withUnits(write, (units) => {
        const services = units.filter((unit) => unit.endsWith('.service'));
        expect(services).toHaveLength(1);
        for (const service of services) {
          const { status, output } = security(service);
          expect({ status, output }).toStrictEqual({ status: 0, output });
        }
      });
    });
  }

  it('systemd rates a service without a sandbox higher, and refuses what it does not know', () => {
    const write = (directory: string) =>
      writeFileSync(join(directory, 'bare.service'), `[Service]\nExecStart=/usr/bin/node\nTyp=notify\n`);
    withUnits(write, ([unit = '']) => {
      expect(security(unit).status).not.toBe(0);
      expect(analyze('verify', unit).output).toMatch(/Unknown key (?:name )?'Typ'/);
    });
  });

  it('are notified, watched and reloaded', () => {
    for (const variant of readdirSync(examples)) {
      expect(unitLines(`${variant}/nolottery.service`)).toStrictEqual(
        expect.arrayContaining(['Type=notify', 'ExecReload=kill -HUP $MAINPID', 'WatchdogSec=30']),
      );
    }
  });

  it('in examples/systemd are what scripts/generate-units.js writes', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(projectRoot, 'scripts/generate-units.js'), '--check'],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toStrictEqual({ status: 0, stderr: '' });
  });
});

describe('unit files in README.md', () => {
  const shown = (readPages().find(({ path }) => path === 'README.md')?.blocks ?? [])
    .map(({ text }) => linesOf(text))
    .filter((lines) => lines.some((line) => ['[Service]', '[Socket]'].includes(line)));

  it('are lines of the one for a chroot and the differences of the others', () => {
    expect(shown).toHaveLength(3);
    const files = [
      'postfix-chroot/nolottery.service',
      'run/nolottery.service',
      'socket-activation/nolottery.socket',
    ];
    for (const [index, file] of files.entries()) {
      expect(unitLines(file)).toStrictEqual(expect.arrayContaining(shown[index] as string[]));
    }
  });
});
