// What `npm install` does before it compiles anything: scripts/check-libmilter.js, run as npm would, on machines that
// lack one thing or another. They are made of a PATH with stand-ins in front and of CXX.
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { expectThat } from '../support/expect';

const root = path.resolve(__dirname, '..', '..', '..');
const PACKAGES = ['libmilter-dev', 'sendmail-milter-devel', 'apk add libmilter-dev', 'mail/libmilter'];

let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsmilter-install-test-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** A folder for PATH that holds these shell scripts. */
function programs(scripts: Record<string, string>): string {
  const place = fs.mkdtempSync(path.join(folder, 'bin-'));
  for (const [name, script] of Object.entries(scripts)) {
    fs.writeFileSync(path.join(place, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return place;
}

const PKG_CONFIG_KNOWS_NOTHING = { 'pkg-config': 'echo "Package milter was not found" >&2; exit 1' };

function node(script: string, args: string[], env: NodeJS.ProcessEnv) {
  const result = spawnSync(process.execPath, [path.join(root, 'scripts', script), ...args], {
    encoding: 'utf8',
    env,
  });
  expect(result.signal).toBeNull();
  return result;
}

/** The message, once it is clear that nothing but a message came. */
function complaint(result: ReturnType<typeof node>): string {
  expect(result.status).toBe(1);
  expect(result.stdout).toBe('');
  expectThat(result.stderr, 'no stack trace').not.toMatch(/^\s+at /m);
  expectThat(result.stderr, "none of the compiler's output").not.toMatch(/error:|collect2|mfapi\.h/);
  expectThat(result.stderr.split('\n').length, result.stderr).toBeLessThan(20);
  return result.stderr;
}

/** The compiler of this machine, by its full path. */
const compiler = execFileSync('sh', ['-c', `command -v ${process.env.CXX ?? 'g++'}`], {
  encoding: 'utf8',
}).trim();
const realPath = process.env.PATH ?? '';

describe('check-libmilter', () => {
  test('passes if pkg-config knows libmilter', () => {
    const place = programs({ 'pkg-config': 'case $1 in --libs) echo -lmilter;; *) echo;; esac' });
    const result = node('check-libmilter.js', [], { PATH: `${place}:${realPath}` });
    expectThat(result.status, result.stderr).toBe(0);
    expect(result.stdout).toMatch(/building against libmilter \(pkg-config: -lmilter\)/);
  });

  test('passes if only -lmilter works', () => {
    const env = { PATH: `${programs(PKG_CONFIG_KNOWS_NOTHING)}:${realPath}` };
    const result = node('check-libmilter.js', [], env);
    expectThat(result.status, result.stderr).toBe(0);
    expect(result.stdout).toMatch(/\(-lmilter: -lmilter\)/);
    expect(node('libmilter-flags.js', ['--libs'], env).stdout).toBe('-lmilter\n');
    expect(node('libmilter-flags.js', ['--cflags'], env).stdout).toBe('\n');
  });

  test('passes without pkg-config', () => {
    const place = programs({ 'g++': `PATH='${realPath}' exec '${compiler}' "$@"` });
    const result = node('check-libmilter.js', [], { PATH: place });
    expectThat(result.status, result.stderr).toBe(0);
    expect(result.stdout).toMatch(/\(-lmilter: -lmilter\)/);
  });

  test('accepts a CXX of several words', () => {
    const env = { PATH: `${programs(PKG_CONFIG_KNOWS_NOTHING)}:${realPath}`, CXX: `${compiler} -O0  -pipe` };
    expect(node('check-libmilter.js', [], env).status).toBe(0);
  });

  test('names the package to install if libmilter is missing', () => {
    // A compiler that finds neither header nor library, and says so at length.
    const place = programs({
      ...PKG_CONFIG_KNOWS_NOTHING,
      'g++':
        'case $* in *--version*) exit 0;; esac; echo "fatal error: libmilter/mfapi.h: No such file" >&2; exit 1',
    });
    const message = complaint(node('check-libmilter.js', [], { PATH: place }));
    expect(message).toMatch(/libmilter not found/);
    for (const name of PACKAGES) expectThat(message, name).toContain(name);
    const flags = node('libmilter-flags.js', ['--libs'], { PATH: place });
    expect(flags.status).toBe(1);
    expect(flags.stdout + flags.stderr).toBe('');
  });

  test('says the same if pkg-config knows a libmilter that was removed', () => {
    const place = programs({
      'pkg-config': 'case $1 in --libs) echo -lmilter_that_is_gone;; *) echo;; esac',
    });
    const message = complaint(node('check-libmilter.js', [], { PATH: `${place}:${realPath}` }));
    expect(message).toMatch(/libmilter not found/);
  });

  test('asks for a compiler if there is none', () => {
    const message = complaint(node('check-libmilter.js', [], { PATH: programs(PKG_CONFIG_KNOWS_NOTHING) }));
    expect(message).toMatch(/no C\+\+ compiler found/);
    for (const name of ['build-essential', 'gcc-c++', 'build-base'])
      expectThat(message, name).toContain(name);
  });

  test('names the CXX that does not work', () => {
    const message = complaint(node('check-libmilter.js', [], { PATH: realPath, CXX: 'no-such-compiler' }));
    expect(message).toMatch(/no C\+\+ compiler found \(CXX is "no-such-compiler"\)/);
  });
});

describe('libmilter-flags', () => {
  test('turns include directories into system ones, with the parent of …/libmilter', () => {
    const place = programs({
      'pkg-config':
        'case $1 in --libs) echo -L/opt/m/lib -lmilter;; *) echo -I/opt/m/include/libmilter -DX;; esac',
    });
    const env = { PATH: place };
    expect(node('libmilter-flags.js', ['--cflags'], env).stdout).toBe(
      '-isystem /opt/m/include/libmilter -isystem /opt/m/include -DX\n',
    );
    expect(node('libmilter-flags.js', ['--includes'], env).stdout).toBe(
      '/opt/m/include/libmilter\n/opt/m/include\n',
    );
    expect(node('libmilter-flags.js', ['--libs'], env).stdout).toBe('-L/opt/m/lib -lmilter\n');
  });

  test('leaves out /usr/include, which would hide headers of the C++ library', () => {
    const place = programs({
      'pkg-config': 'case $1 in --libs) echo -lmilter;; *) echo -I/usr/include;; esac',
    });
    expect(node('libmilter-flags.js', ['--cflags'], { PATH: place }).stdout).toBe('\n');
  });

  test('asks the pkg-config that PKG_CONFIG names', () => {
    const place = programs({ 'my-pkgconf': 'case $2 in --libs) echo "-lmilter $1";; *) echo;; esac' });
    const env = { PATH: place, PKG_CONFIG: 'my-pkgconf --static' };
    expect(node('libmilter-flags.js', ['--libs'], env).stdout).toBe('-lmilter --static\n');
  });
});

describe('native-build', () => {
  test('lists every source file of the addon', () => {
    const listed = node('native-build.js', ['sources'], process.env).stdout.trim().split('\n');
    const there = fs
      .readdirSync(path.join(root, 'native'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.cc') && !name.startsWith('tests'))
      .map((name) => `native/${name}`);
    expect(listed.sort()).toStrictEqual(there.sort());
  });

  test('writes units that include each of them once, and leaves those alone that are right already', () => {
    const copy = path.join(folder, 'units');
    fs.mkdirSync(path.join(copy, 'scripts'), { recursive: true });
    fs.copyFileSync(path.join(root, 'scripts/native-build.js'), path.join(copy, 'scripts/native-build.js'));
    fs.symlinkSync(path.join(root, 'native'), path.join(copy, 'native'));
    const ask = (what: string) =>
      execFileSync(process.execPath, [path.join(copy, 'scripts/native-build.js'), what], { encoding: 'utf8' })
        .trim()
        .split('\n');
    const units = ask('units').map((unit) => path.join(copy, unit));
    const included = units.flatMap((unit) =>
      [...fs.readFileSync(unit, 'utf8').matchAll(/^#include "(.*)"$/gm)].map(([, file = '']) =>
        path.relative(copy, path.join(path.dirname(unit), file)),
      ),
    );
    expect(included.sort()).toStrictEqual(ask('sources').sort());

    const [first = ''] = units;
    const old = new Date('2026-01-01');
    for (const unit of units) fs.utimesSync(unit, old, old);
    fs.appendFileSync(first, '// of another version\n');
    ask('units');
    const isOld = (unit: string) => fs.statSync(unit).mtimeMs === old.getTime();
    expect(units.map(isOld)).toStrictEqual(units.map((unit) => unit !== first));
    expect(fs.readFileSync(first, 'utf8')).not.toContain('another version');
  });

  test('treats warnings as errors only in a checkout, unless configured', () => {
    const copy = path.join(folder, 'package');
    fs.mkdirSync(path.join(copy, 'scripts'), { recursive: true });
    fs.copyFileSync(path.join(root, 'scripts/native-build.js'), path.join(copy, 'scripts/native-build.js'));
    const werror = (wish?: string) =>
      execFileSync(process.execPath, [path.join(copy, 'scripts/native-build.js'), 'werror'], {
        encoding: 'utf8',
        env: wish === undefined ? {} : { npm_config_tsmilter_werror: wish },
      }).trim();
    expect(werror()).toBe('');
    expect(werror('1')).toBe('-Werror');
    fs.mkdirSync(path.join(copy, '.git'));
    expect(werror()).toBe('-Werror');
    expect(werror('0')).toBe('');
  });
});
