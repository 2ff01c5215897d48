/** The runner of scripts/test: what it counts, and what it fails for that no test of a file would say. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { expectThat } from '../support/expect';
import { tree } from './trees';

describe('the test runner', () => {
  /** Runs compiled test files in a tree with the runner's own modules; returns what it printed. */
  const run = (files: Record<string, string>) => {
    const top = tree({
      'jest.config.mjs':
        "export default { roots: ['<rootDir>/.build'], transform: {}, testTimeout: 60_000, cacheDirectory: '<rootDir>/.cache' };\n",
      'main.mjs': `
        import { runTestFiles } from './scripts/runner/test-files.mjs';
        import { Tally, conclude } from './scripts/runner/tally.mjs';
        const tally = new Tally('suite');
        await runTestFiles(process.argv.slice(2), { label: 'suite', seconds: 15 }, tally);
        process.exitCode = conclude([tally]);
      `,
      ...Object.fromEntries(
        Object.entries(files).map(([name, text]) => [`.build/test/unit/${name}.test.js`, text]),
      ),
    });
    fs.cpSync(path.join(projectRoot, 'scripts/runner'), path.join(top, 'scripts/runner'), {
      recursive: true,
    });
    fs.symlinkSync(path.join(projectRoot, 'node_modules'), path.join(top, 'node_modules'));
    const sources = Object.keys(files).map((name) => `test/unit/${name}.test.ts`);
    const { status, stdout } = spawnSync(process.execPath, [path.join(top, 'main.mjs'), ...sources], {
      encoding: 'utf8',
    });
    return { status, output: stdout, last: stdout.trimEnd().split('\n').at(-1) };
  };

  test('counts tests, not groups, and reports skipped ones as such', () => {
    const { status, output, last } = run({
      a: "test('one', () => {}); describe('group', () => { it('two', () => {}); });",
      b: "test('three', () => {}); test.skip('not now (skipped: why)', () => {});",
    });
    expectThat(last, output).toBe('3 passed, 0 failed, 1 skipped');
    expect(output).toMatch(/not now \(skipped: why\)/);
    expect(status).toBe(0);
  });

  test('fails with the errors of the tests', () => {
    const { status, output, last } = run({
      a: "test('one', () => {}); describe('group', () => { it('two', () => { throw new Error('dear me'); }); });",
      b: `describe('first', () => { beforeAll(() => { throw new Error('too early'); }); it('never', () => {}); });
          describe('last', () => { afterAll(() => { throw new Error('too late'); }); it('before', () => {}); });`,
    });
    expectThat(last, output).toBe('2 passed, 3 failed');
    expect(output).toMatch(/group > two[\s\S]*dear me/);
    expect(output).toMatch(/first > never[\s\S]*too early/);
    expect(output).toMatch(/too late/);
    expect(status).toBe(1);
  });

  for (const [what, text, expected] of [
    ['has no test', '', /must contain at least one test/],
    ['cannot be loaded', "require('./nothing');", /Cannot find module/],
    ['ends the process', "test('leaving', () => process.exit(0));", /exit code 0 during: leaving/],
    [
      'crashes',
      "test('crash', () => new Promise(() => setTimeout(() => process.kill(process.pid, 'SIGSEGV'), 50)));",
      /ended by SIGSEGV during: crash/,
    ],
    ['blocks its thread', "test('block', () => { for (;;); }, 1000);", /no end after 15 s during: block/],
    [
      'does not end after its tests',
      "test('fine', () => { setInterval(() => {}, 1000); });",
      /no end after 15 s/,
    ],
    [
      'leaves a process running',
      "test('fork', () => { require('node:child_process').spawn('sleep', ['60'], { stdio: 'ignore' }).unref(); });",
      /left processes running:\n.*sleep 60/,
    ],
    [
      'loads the addon, and is said not to',
      `test('load', () => { require(${JSON.stringify(path.join(projectRoot, 'build/Release/tsmilter.node'))}); });`,
      /loads the addon, unlike addon-files\.mjs says/,
    ],
  ] as const) {
    test(`fails for a file that ${what}`, () => {
      const { status, output, last } = run({ a: text, b: "test('other', () => {});" });
      expect(output).toMatch(expected);
      expectThat(last ?? '', output).toMatch(/^[12] passed, 1 failed$/);
      expect(status).toBe(1);
    });
  }
});
