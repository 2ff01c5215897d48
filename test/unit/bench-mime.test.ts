/** The benchmark of tsmilter/mime measures what is there; pymilter is no part of what testing installs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../tools/mta/installation';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(projectRoot, '.build/bench/mime.js'), ...args], { encoding: 'utf8' });

test('each kind of message has a time', () => {
  const { status, stdout, stderr } = bench('--rounds', '1', '--passes', '1');
  assert.equal(status, 0, stderr);
  for (const kind of ['text 2 KB', 'photo 1 MB', 'HTML 50 KB, a script', '100 parts'])
    assert.match(stdout, new RegExp(`^${kind} +\\d+\\.\\d{3} `, 'm'));
});

test('rounds are a whole number', () => {
  const { status, stderr } = bench('--rounds', '0');
  assert.notEqual(status, 0);
  assert.match(stderr, /--rounds is a whole number from 1, not 0/);
});
