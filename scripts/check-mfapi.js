#!/usr/bin/env node
'use strict';
/**
 * Everything that libmilter has is bound, or left out for a stated reason.
 *
 *     node scripts/check-mfapi.js [--header MFAPI_H] [--native DIR]
 *
 * Reads the installed mfapi.h and mfdef.h (those that the compiler finds, or the ones beside MFAPI_H) and fails when a
 * function, a constant or a callback of theirs is neither used in native/libmilter nor listed in
 * native/libmilter/left-out.json, which maps names, or name beginnings with a `*`, to reasons. An entry there for
 * something that is used after all fails as well; one for something this libmilter does not have is fine.
 */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { findCompiler, findLibmilter } = require('./libmilter-flags.js');

const { values } = parseArgs({ options: { header: { type: 'string' }, native: { type: 'string' } } });
const folder = path.resolve(values.native ?? path.join(__dirname, '..', 'native'), 'libmilter');

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** The paths of mfapi.h and mfdef.h, as the compiler finds them. */
function findHeaders() {
  if (values.header) return [values.header, path.join(path.dirname(values.header), 'mfdef.h')];
  const compiler = findCompiler();
  const flags = findLibmilter();
  if (!compiler || !flags) fail('There is no libmilter here; scripts/check-libmilter.js says more.');
  const [command, ...args] = compiler;
  const { stdout, stderr } = spawnSync(command, [...args, ...flags.cflags, '-x', 'c++', '-M', '-'], {
    encoding: 'utf8',
    input: '#include <libmilter/mfapi.h>\n',
  });
  const headers = stdout.split(/[\s\\]+/).filter((word) => /\/mf(?:api|def)\.h$/.test(word));
  if (headers.length < 2) fail(`${command} does not find libmilter/mfapi.h and mfdef.h:\n${stderr}`);
  return headers;
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/\/\/.*$/gm, ' ');
}

/** Whatever a header offers: functions smfi_*, constants, and callbacks xxfi_* of struct smfiDesc. */
function namesIn(header) {
  const text = withoutComments(fs.readFileSync(header, 'utf8'));
  const names = [];
  for (const [, name] of text.matchAll(/^\s*LIBMILTER_API\b[^;]*?\b(smfi_\w+)\s*(?:SM)?_*P?\s*\(/gm))
    names.push(name);
  for (const [, name] of text.matchAll(/^\s*#\s*define\s+((?:SMFI|MI_|MILTER_|SM_LM_)\w*)/gm))
    names.push(name);
  for (const [, name] of text.matchAll(/\(\*(xxfi_\w+)\)/g)) names.push(name);
  return names;
}

/** All identifiers in the code of native/libmilter, comments left aside. */
function identifiersInUse() {
  const used = new Set();
  for (const file of fs.readdirSync(folder)) {
    if (!/\.(?:cc|h)$/.test(file)) continue;
    const text = withoutComments(fs.readFileSync(path.join(folder, file), 'utf8'));
    for (const [name] of text.matchAll(/\b[A-Za-z_]\w*/g)) used.add(name);
  }
  return used;
}

const headers = findHeaders();
const offered = [...new Set(headers.flatMap(namesIn))].sort();
if (offered.filter((name) => name.startsWith('smfi_')).length < 20) {
  fail(
    `Only these names were found in ${headers.join(' and ')}; the headers' form must have changed:\n${offered.join(' ')}`,
  );
}
const used = identifiersInUse();
const leftOut = JSON.parse(fs.readFileSync(path.join(folder, 'left-out.json'), 'utf8'));

/** The entry of left-out.json that covers a name: its own, else the longest beginning. */
function entryFor(name) {
  if (Object.hasOwn(leftOut, name)) return name;
  return Object.keys(leftOut)
    .filter((entry) => entry.endsWith('*') && name.startsWith(entry.slice(0, -1)))
    .sort((a, b) => b.length - a.length)[0];
}

const problems = [];
let bound = 0;
for (const name of offered) {
  if (used.has(name)) {
    bound++;
    if (Object.hasOwn(leftOut, name)) problems.push(`${name} is used, and yet listed in left-out.json`);
  } else if (entryFor(name) === undefined) {
    problems.push(`${name} is neither used in native/libmilter nor listed with a reason in left-out.json`);
  }
}
for (const [entry, reason] of Object.entries(leftOut)) {
  if (typeof reason !== 'string' || reason.trim().length < 10)
    problems.push(`${entry} in left-out.json has no reason`);
}

if (problems.length > 0) {
  fail(`${problems.join('\n')}\n\n${problems.length} problem(s) with ${headers.join(' and ')}.`);
}
console.log(
  `Of ${offered.length} names in mfapi.h and mfdef.h, ${bound} are bound and ${offered.length - bound} left out for a reason.`,
);
