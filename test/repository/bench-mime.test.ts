/** The benchmark of tsmilter/mime measures what is there; pymilter is no part of what testing installs. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(projectRoot, '.build/bench/mime.js'), ...args], { encoding: 'utf8' });

test('every kind of message is measured', () => {
  const { status, stdout, stderr } = bench('--rounds', '1', '--passes', '1', '--warmup', '1');
  expectThat(status, stderr).toBe(0);
  for (const kind of ['text 2 KB', 'photo 1 MB', 'HTML 50 KB, a script', '100 parts'])
    expect(stdout).toMatch(new RegExp(`^${kind} +\\d+\\.\\d{3} `, 'm'));
});

test('rounds must be an integer', () => {
  const { status, stderr } = bench('--rounds', '0');
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/--rounds takes a whole number from 1 on, not '0'/);
});
