#!/usr/bin/env node
'use strict';
/**
 * Says how to compile and link against the system's libmilter.
 *
 *     node scripts/libmilter-flags.js --cflags     # -isystem /usr/include/libmilter
 *     node scripts/libmilter-flags.js --libs       # -lmilter
 *     node scripts/libmilter-flags.js --includes   # the include directories alone, one per line
 *
 * pkg-config is asked for `milter` first ($PKG_CONFIG names another pkg-config). Where it knows nothing, a tiny program
 * is compiled with plain `-lmilter`: as the compiler is, then with the prefixes that compilers leave out. Exit code 1
 * and no output: there is no libmilter. check-libmilter.js, which runs before the build, turns that into a message.
 *
 * Ships with the package: no dependencies, nothing newer than the oldest supported Node.
 */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Prefixes that some systems' compilers do not search: FreeBSD's ports, Homebrew, MacPorts. */
const PREFIXES = ['/usr/local', '/opt/homebrew', '/opt/local'];

/** Every compiler searches these; named again as -isystem they would break the C++ library's #include_next. */
const DEFAULT_INCLUDES = ['/usr/include'];

const PROBE = `#include <libmilter/mfapi.h>
int main() { unsigned int major, minor, level; return smfi_version(&major, &minor, &level); }
`;

/** Splits a command line such as `ccache g++` or pkg-config's output at its blanks. */
function words(line) {
  return line.split(/\s+/).filter((word) => word !== '');
}

function run(command, args) {
  return spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The C++ compiler as a list (command and arguments), or undefined. `$CXX` alone counts where it is set. */
function findCompiler() {
  const candidates = process.env.CXX ? [words(process.env.CXX)] : [['g++'], ['c++'], ['clang++']];
  return candidates.find(([command, ...args]) => run(command, [...args, '--version']).status === 0);
}

/** Whether a program that calls libmilter compiles and links with these flags. */
function links(compiler, flags) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tsmilter-probe-'));
  try {
    const source = path.join(folder, 'probe.cc');
    fs.writeFileSync(source, PROBE);
    const [command, ...args] = compiler;
    const compile = [
      ...args,
      ...flags.cflags,
      source,
      '-o',
      path.join(folder, 'probe'),
      ...flags.libs,
      '-pthread',
    ];
    return run(command, compile).status === 0;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** -I as -isystem, so that warnings are the package's own; with `…/libmilter` comes its parent: <libmilter/mfapi.h>. */
function systemIncludes(cflags) {
  const flags = [];
  for (const flag of cflags) {
    if (!flag.startsWith('-I')) {
      flags.push(flag);
      continue;
    }
    const folder = path.resolve(flag.slice(2));
    const folders = path.basename(folder) === 'libmilter' ? [folder, path.dirname(folder)] : [folder];
    for (const one of folders) if (!DEFAULT_INCLUDES.includes(one)) flags.push('-isystem', one);
  }
  return flags;
}

/** What pkg-config says of `milter`, or undefined. */
function fromPkgConfig() {
  const [command, ...args] = words(process.env.PKG_CONFIG || 'pkg-config');
  const cflags = run(command, [...args, '--cflags', 'milter']);
  const libs = run(command, [...args, '--libs', 'milter']);
  if (cflags.status !== 0 || libs.status !== 0) return undefined;
  return { source: 'pkg-config', cflags: systemIncludes(words(cflags.stdout)), libs: words(libs.stdout) };
}

/** The flags without pkg-config: the first set with which a program links, or undefined. */
function fromCompiler(compiler) {
  const found = [
    { source: '-lmilter', cflags: [], libs: ['-lmilter'] },
    ...PREFIXES.filter((prefix) => fs.existsSync(`${prefix}/include/libmilter/mfapi.h`)).map((prefix) => ({
      source: prefix,
      cflags: ['-isystem', `${prefix}/include`],
      libs: [`-L${prefix}/lib`, '-lmilter'],
    })),
  ];
  return found.find((flags) => links(compiler, flags));
}

/** The flags `{ source, cflags, libs }` to build with, or undefined. */
function findLibmilter() {
  const known = fromPkgConfig();
  if (known) return known;
  const compiler = findCompiler();
  return compiler && fromCompiler(compiler);
}

module.exports = { findCompiler, findLibmilter, links };

if (require.main === module) {
  const what = process.argv[2];
  const flags = findLibmilter();
  if (!flags) process.exit(1);
  if (what === '--cflags') console.log(flags.cflags.join(' '));
  else if (what === '--libs') console.log(flags.libs.join(' '));
  else if (what === '--includes') console.log(flags.cflags.filter((flag) => flag.startsWith('/')).join('\n'));
  else {
    console.error('usage: libmilter-flags.js --cflags | --libs | --includes');
    process.exit(2);
  }
}
