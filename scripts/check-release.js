#!/usr/bin/env node
'use strict';
/**
 * Runs before `npm publish` (docs/releasing.md): is everything written that belongs to this version?
 *
 *     node scripts/check-release.js [folder]     # the package's folder; by default this project
 */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** npm's page links to these, and provenance is refused without the first. */
const ADDRESSES = ['repository', 'bugs', 'homepage'];

function problemsOf(folder) {
  const read = (name) => fs.readFileSync(path.join(folder, name), 'utf8');
  const manifest = JSON.parse(read('package.json'));
  const { version } = manifest;
  const problems = ADDRESSES.filter((field) => !manifest[field]).map(
    (field) => `package.json has no "${field}"`,
  );
  const locked = JSON.parse(read('package-lock.json')).version;
  if (locked !== version)
    problems.push(`package-lock.json is of version ${locked}, package.json of ${version}`);
  const dated = read('CHANGELOG.md')
    .split('\n')
    .some((line) => line.startsWith(`## [${version}] - `) && /\d{4}-\d{2}-\d{2}$/.test(line));
  if (!dated) problems.push(`CHANGELOG.md has no section "## [${version}] - YYYY-MM-DD"`);
  const changes = execFileSync('git', ['status', '--porcelain'], { cwd: folder, encoding: 'utf8' }).trimEnd();
  if (changes !== '') problems.push(`there are uncommitted changes:\n${changes}`);
  return problems;
}

const problems = problemsOf(process.argv[2] ?? path.join(__dirname, '..'));
if (problems.length > 0) {
  console.error(`This version cannot be published:\n${problems.map((problem) => `- ${problem}`).join('\n')}`);
  process.exitCode = 1;
}
