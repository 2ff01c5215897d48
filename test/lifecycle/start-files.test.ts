/** What the start of a filter loads: each file takes time, which is felt where a service is restarted. */
import { spawnSync } from 'node:child_process';
import { expect, it } from '@jest/globals';
import { projectRoot } from '../../tools/project-root.js';
import { expectThat } from '../support/expect.js';

/** Starts a filter with the options in place of OPTIONS, on a socket that cannot be opened, and prints the files that are loaded then. */
const START = `
  const Milter = require(${JSON.stringify(projectRoot)});
  class Filter extends Milter.Base {}
  Milter.runmilter('files', 'unix:/nonexistent/sock', OPTIONS).catch(({ code }) => {
    console.log(JSON.stringify({ code, files: Object.keys(require.cache) }));
  });
`;

function filesOf(options: string): string[] {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', START.replace('OPTIONS', options)], {
    encoding: 'utf8',
  });
  expectThat(stdout, stderr).not.toBe('');
  const { code, files } = JSON.parse(stdout) as { code: string; files: string[] };
  expect(code).toBe('ENOENT'); // it has come as far as the socket
  return files;
}

/** What not every filter needs, and the options of one that does. */
const PARTS = [
  ['dist/log/log-stream.js', '{ factory: Filter }'],
  ['node_modules/sonic-boom/', '{ factory: Filter }'],
  ['dist/metrics/metrics-server.js', '{ factory: Filter, metrics: "inet:0", logger: false }'],
  ['node_modules/prom-client/', '{ factory: Filter, metrics: "inet:0", logger: false }'],
] as const;

const has = (files: readonly string[], part: string) => files.some((file) => file.includes(`/${part}`));

it('a filter without workers, metrics and a log of ours loads no file of these', () => {
  const files = filesOf('{ factory: Filter, logger: false }');
  const unneeded = [
    ...PARTS.map(([part]) => part),
    'node_modules/@opentelemetry/',
    'dist/workers/create-pool.js',
  ];
  expect(unneeded.filter((part) => has(files, part))).toStrictEqual([]);
  expectThat(files.length, files.join('\n')).toBeLessThanOrEqual(80);
});

for (const [part, options] of PARTS) {
  it(`a filter that needs ${part} loads it before its first session`, () => {
    expect(has(filesOf(options), part)).toBe(true);
  });
}
