#!/usr/bin/env node
'use strict';
/**
 * Runs at `npm install`, before node-gyp: is there a C++ compiler, and is there a libmilter to link? If not, it says
 * which package to install, and ends with exit code 1; the compiler's own complaints would help nobody here.
 *
 * Ships with the package: no dependencies.
 */
const { findCompiler, findLibmilter, links } = require('./libmilter-flags.js');

/** Package managers say who runs an install script: `pnpm/12.0.0 npm/? node/v20.19.0 linux x64`. */
const manager = process.env.npm_config_user_agent?.split('/')[0] || 'npm';

function table(rows) {
  const width = Math.max(...rows.map(([system]) => system.length));
  return rows.map(([system, command]) => `    ${system.padEnd(width)}  ${command}`).join('\n');
}

const NO_COMPILER = `milter: no C++ compiler found${process.env.CXX ? ` (CXX is "${process.env.CXX}")` : ''}.

milter is built on your machine, against its libmilter. Install a compiler, make and Python:

${table([
  ['Debian, Ubuntu', 'apt install build-essential python3 pkg-config'],
  ['Fedora, RHEL', 'dnf install gcc-c++ make python3 pkgconf-pkg-config'],
  ['Alpine', 'apk add build-base python3 pkgconf'],
  ['FreeBSD', 'pkg install gmake python3 pkgconf'],
])}

then run ${manager} install again.`;

const NO_LIBMILTER = `milter: libmilter not found, neither by pkg-config nor as -lmilter.

libmilter is Sendmail's library for mail filters; filters for Postfix use it too. Install its development files:

${table([
  ['Debian, Ubuntu', 'apt install libmilter-dev'],
  ['Fedora, RHEL', 'dnf install sendmail-milter-devel'],
  ['Alpine', 'apk add libmilter-dev'],
  ['FreeBSD', 'pkg install libmilter        (the port mail/libmilter)'],
])}

then run ${manager} install again. If it is installed in a place of its own, set PKG_CONFIG_PATH, or CPATH and LIBRARY_PATH.`;

function fail(message) {
  console.error(`\n${message}\n`);
  process.exit(1);
}

const compiler = findCompiler();
if (!compiler) fail(NO_COMPILER);
const flags = findLibmilter();
if (!flags) fail(NO_LIBMILTER);
// pkg-config may know a libmilter of which the header or the library is gone; only a program that links is proof.
if (flags.source === 'pkg-config' && !links(compiler, flags)) fail(NO_LIBMILTER);
console.log(
  `milter: building against libmilter (${flags.source}: ${[...flags.cflags, ...flags.libs].join(' ')})`,
);
