/** `tsmilter init`: the project that it writes works at once, with a link in place of the registry. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { TSMILTER, tsmilter } from '../support/cli.js';
import { itUnless } from '../support/skip.js';
import { analyze, nameThisNode } from '../support/systemd.js';
import { unwatched } from '../support/unwatched.js';

let directory: string;
beforeAll(() => {
  directory = privateDirectory('cli-init');
});
afterAll(() => removeDirectory(directory));

/** What npm would install: this package and the compiler. */
function link(project: string): void {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  mkdirSync(join(modules, '@types'));
  symlinkSync(projectRoot, join(modules, 'tsmilter'));
  for (const name of ['typescript', '@types/node']) {
    symlinkSync(join(projectRoot, 'node_modules', name), join(modules, name));
  }
  const compiler = join(projectRoot, 'node_modules/typescript/bin/tsc');
  for (const [name, program] of [
    ['tsmilter', TSMILTER],
    ['tsc', compiler],
  ] as const) {
    const text = `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`;
    writeFileSync(join(modules, '.bin', name), text, { mode: 0o755 });
  }
}

const npm = (project: string, ...args: string[]) =>
  spawnSync('npm', ['--offline', ...args], { cwd: project, encoding: 'utf8', env: unwatched });

describe.each(['typescript', 'javascript'])('a project in %s', (language) => {
  let project: string;
  beforeAll(async () => {
    project = join(directory, `my-${language}`);
    const { status, stdout } = await tsmilter(['init', project, '--language', language]);
    expect([status, stdout]).toStrictEqual([
      0,
      expect.stringMatching(/\nNext: cd .* && npm install && npm test && npm start\n$/),
    ]);
    link(project);
  });

  it('npm test passes, and runs its tests', () => {
    const { status, stdout, stderr } = npm(project, 'test');
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toMatch(/pass 2\b/);
  });

  it('npm start runs the filter', async () => {
    writeFileSync(join(project, 'lottery.eml'), 'Subject: lottery\n\nx\n');
    const started = spawn('npm', ['--offline', 'start'], {
      cwd: project,
      env: unwatched,
      stdio: 'ignore',
      detached: true,
    });
    const ended = once(started, 'exit');
    try {
      const send = ['send', `unix:my-${language}.sock`, 'lottery.eml', '--retry', '--timeout', '30s'];
      const { status, stdout } = await tsmilter(send, { cwd: project });
      expect([status, stdout]).toStrictEqual([69, 'lottery.eml: rejected: 550 5.7.1 no lottery, please\n']);
    } finally {
      process.kill(-(started.pid as number), 'SIGTERM'); // npm, its shell and the filter
      await ended;
    }
  });
});

const noSystemd =
  spawnSync('systemd-analyze', ['--version'], { env: unwatched }).status !== 0 &&
  'there is no systemd-analyze';

describe.each([
  ['postfix-chroot', 'mta/main.cf', 'smtpd_milters = unix:site/sock', 'unix:/var/spool/postfix/site/sock'],
  ['postfix', 'mta/main.cf', 'smtpd_milters = unix:/run/site/sock', 'unix:/run/site/sock'],
  ['sendmail', 'mta/sendmail.mc', '`S=local:/run/site/sock, F=T', 'unix:/run/site/sock'],
])('a project for %s', (mta, file, line, socket) => {
  let project: string;
  beforeAll(async () => {
    project = join(directory, mta);
    await tsmilter(['init', '--name', 'site', '--mta', mta, '--package', 'file:x.tgz'], {
      cwd: mkdirs(project),
    });
  });
  const read = (name: string) => readFileSync(join(project, name), 'utf8');

  it('has lines for the MTA that lead to the socket of its configuration', () => {
    expect(read(file)).toContain(line);
    expect(read('site.cfg')).toContain(`socket = ${socket}\n`);
    expect(read('README.md')).toContain(file);
    expect(JSON.parse(read('package.json')).dependencies).toStrictEqual({ tsmilter: 'file:x.tgz' });
  });

  itUnless(noSystemd, 'has units that systemd accepts', () => {
    const units = ['site.service', 'site.socket'].map((name) => join(project, 'systemd', name));
    nameThisNode([...units, `${units[0]}.d/socket-activation.conf`]);
    expect(analyze('verify', ...units)).toStrictEqual({ status: 0, output: '' });
  });

  it('has a unit to which `tsmilter doctor` does not object', async () => {
    const unit = ['--unit', join(project, 'systemd/site.service'), '--units', '/nowhere'];
    const none = ['--main-cf', '/nowhere', '--sendmail-cf', '/nowhere'];
    const { stdout } = await tsmilter([
      'doctor',
      '--config',
      join(project, 'site.cfg'),
      ...unit,
      ...none,
      '--json',
    ]);
    const { findings } = JSON.parse(stdout) as { findings: { code: string; level: string }[] };
    expect(findings.filter(({ code }) => code === 'systemd')).toMatchObject([{ level: 'ok' }]);
  });
});

function mkdirs(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

describe('a directory', () => {
  it('with one of the files is left as it is', async () => {
    const project = mkdirs(join(directory, 'taken'));
    writeFileSync(join(project, 'README.md'), 'mine');
    const { status, stderr } = await tsmilter(['init', project]);
    expect([status, stderr]).toStrictEqual([
      2,
      expect.stringMatching(/README\.md exists already: choose an empty directory/),
    ]);
    expect(readdirSync(project)).toStrictEqual(['README.md']);
  });

  it.each([
    ['README.md', (path: string) => symlinkSync('nowhere', path)],
    ['systemd', (path: string) => symlinkSync('nowhere', path)],
    ['systemd', (path: string) => writeFileSync(path, 'mine')],
  ])(
    'is left as it is if a link to nowhere, or a file in place of a directory, is in the way: %s',
    async (name, make) => {
      const project = mkdtempSync(join(directory, 'way-'));
      make(join(project, name));
      const { status, stderr } = await tsmilter(['init', project, '--name', 'way']);
      expect([status, stderr]).toStrictEqual([
        2,
        expect.stringContaining(`${name} exists already: choose an empty directory`),
      ]);
      expect(readdirSync(project)).toStrictEqual([name]);
    },
  );

  it('that cannot be made is told in one line', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    for (const [project, message] of [
      [file, /file\/package\.json: a part of its path is not a directory/],
      [join(file, 'below'), /file\/below: a part of its path is not a directory/],
      ['/proc/below', /\/proc\/below: there is no such file or directory/],
    ] as const) {
      const { status, stderr } = await tsmilter(['init', project]);
      expect([status, stderr]).toStrictEqual([1, expect.stringMatching(message)]);
      expect(stderr.trimEnd()).not.toContain('\n');
    }
  });

  it('whose name cannot be that of a user needs --name', async () => {
    const { status, stderr } = await tsmilter(['init', join(directory, 'My Filter')]);
    expect([status, stderr]).toStrictEqual([
      2,
      expect.stringMatching(/"My Filter" cannot be a filter's name/),
    ]);
  });
});

it('asks on a terminal for what the options do not say', () => {
  const project = mkdirs(join(directory, 'asked'));
  const command = `${process.execPath} ${TSMILTER} init --name asked`;
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    cwd: project,
    env: unwatched,
    input: 'java\nsend\n',
    encoding: 'utf8',
  });
  expect(stdout).toContain('Language (typescript, javascript) [typescript]: ');
  expect(stdout).toContain('MTA (postfix-chroot, postfix, sendmail) [postfix-chroot]: ');
  expect(readdirSync(project)).toEqual(expect.arrayContaining(['filter.js', 'mta', 'asked.cfg']));
  expect(readdirSync(join(project, 'mta'))).toStrictEqual(['sendmail.mc']);
});
