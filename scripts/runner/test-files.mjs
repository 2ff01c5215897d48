/**
 * Runs compiled test files, each with a Jest of its own in a process group of its own: a crash, a thread that is blocked
 * or a process left behind fails that file alone, in every version of Node in the same way. Jest's own workers will not
 * do here. They run a file again when its process ended with an exit code, as a sanitizer makes it do, and they are
 * ended by a signal, which loses what is written at exit: the coverage, and a sanitizer's report of leaks.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isWithoutAddon } from './addon-files.mjs';
import { logs, root, run, tail } from './processes.mjs';

/** The test files of a folder under test/, as source paths relative to the package, sorted. */
export function testFilesOf(folder) {
  const top = path.join(root, folder);
  if (!fs.existsSync(top)) return [];
  return fs
    .readdirSync(top, { recursive: true })
    .filter((name) => /\.test\.[mc]?ts$/.test(name))
    .map((name) => path.join(folder, name))
    .sort();
}

/** Where tsc puts a source file. */
export function compiled(source) {
  return path.join(root, '.build', source.replace(/ts$/, 'js'));
}

/** The records that the reporter wrote, down to the last whole line. */
function readRecords(file) {
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, 'utf8').split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line));
}

/**
 * Runs one file and counts its tests.
 *
 * @param {string} source
 * @param {{label: string, way: string, node: string, env: NodeJS.ProcessEnv, seconds: number}} how
 * @param {import('./tally.mjs').Tally} tally
 */
async function runFile(source, how, tally) {
  const name = source.replace(/^test\//, '').replace(/[/\\]/g, '.');
  const log = path.join(logs, how.label, `${name}.log`);
  const records = path.join(logs, how.label, `${name}.jsonl`);
  fs.mkdirSync(path.dirname(records), { recursive: true });
  fs.rmSync(records, { force: true });

  const began = performance.now();
  const jest = path.join('node_modules', 'jest', 'bin', 'jest.js');
  const end = await run(
    [
      ...[how.node, jest, '--runInBand', '--ci', '--colors=false', '--reporters=default'],
      ...[
        `--reporters=${path.join(import.meta.dirname, 'reporter.mjs')}`,
        '--runTestsByPath',
        compiled(source),
      ],
    ],
    { log, env: { ...how.env, MILTER_TEST_RECORDS: records }, seconds: how.seconds },
  );
  const seconds = ((performance.now() - began) / 1000).toFixed(1);

  let [passed, failed, ended, hasAddon] = [0, 0, false, false];
  const unfinished = new Set();
  const later = [];
  for (const record of readRecords(records)) {
    if (record.type === 'start') unfinished.add(record.name);
    else if (record.type === 'done') unfinished.delete(record.name);
    else if (record.type === 'end') ended = true;
    else if (record.type === 'addon') hasAddon = true;
    else if (record.type === 'pass') passed++;
    else if (record.type === 'fail') {
      failed++;
      later.push(() => tally.fail(`${source}: ${record.name}`, indent(record.error)));
    } else if (record.type === 'skip') {
      later.push(() => tally.skip(`${source}: ${record.name}`));
    }
  }
  tally.pass(passed);

  // What no test of the file would say by itself.
  const wrong = [];
  const during = unfinished.size > 0 ? ` during: ${[...unfinished].join(', ')}` : '';
  if (end.timedOut || !ended || (!end.ok && failed === 0)) wrong.push(`${end.ending}${during}`);
  if (hasAddon && isWithoutAddon(source)) wrong.push('loads the addon, unlike addon-files.mjs says');
  if (end.left.length > 0) wrong.push(`left processes running:\n${indent(end.left.join('\n'))}`);

  const ok = failed === 0 && wrong.length === 0;
  console.log(
    `  ${ok ? '✔' : '✖'} ${source}${how.way} (${passed} passed${failed > 0 ? `, ${failed} failed` : ''}, ${seconds} s)`,
  );
  for (const say of later) say();
  for (const what of wrong) tally.fail(`${source}: ${what}`);
  if (!ok) console.log(tail(log));
}

/** Makes a function that runs jobs, so many at a time, in the order in which they came. */
function lanes(most) {
  let free = most;
  const waiting = [];
  return async (job) => {
    if (free > 0) free--;
    else await new Promise((resolve) => waiting.push(resolve));
    try {
      return await job();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

/**
 * Test files share these, whatever folders they are from: the last ones of a folder do not leave processors idle. There are
 * more than processors since tests wait more than they compute: for MTAs, for time-outs, for processes to end.
 */
const inLane = lanes(2 * os.availableParallelism());

function indent(text) {
  return text.replace(/^/gm, '      ');
}

/**
 * Runs test files, several at once, and counts their tests.
 *
 * @param {string[]} sources paths of .test.ts files, relative to the package
 * @param {object} how
 * @param {string} how.label names the folder of the logs
 * @param {string} [how.way] what is special about it, behind the names of files. Default: ''
 * @param {string} [how.node] default: the Node that runs this
 * @param {NodeJS.ProcessEnv} [how.env] additions to the environment
 * @param {number} [how.seconds] what one file may take. Default: 120
 * @param {boolean} [how.serial] one file at a time. Default: twice as many as there are processors
 * @param {import('./tally.mjs').Tally} tally
 */
export async function runTestFiles(sources, how, tally) {
  const whole = {
    label: how.label,
    way: how.way ?? '',
    node: how.node ?? process.execPath,
    env: { ...process.env, ...how.env },
    seconds: how.seconds ?? 120,
  };
  const lane = how.serial ? lanes(1) : inLane;
  await Promise.all(sources.map((source) => lane(() => runFile(source, whole, tally))));
}
