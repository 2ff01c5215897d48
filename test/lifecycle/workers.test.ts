/** A filter whose sessions are served in worker threads: who gets a session, settings, the start and the stop. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { inLanes } from '../support/in-lanes.js';
import { goodMessage, greet } from './support/messages.js';
import { CLEAN_END, ObservedFilter, type StartOptions } from './support/observed-filter.js';

const host = (options: StartOptions = {}) => ObservedFilter.start({ fixture: '../workers/host', ...options });

/** What the worker of a session reports about itself in a message. */
async function message(session: MtaSession): Promise<{ thread: string; id: number }> {
  const { verdict, modifications } = await session.message(goodMessage);
  expect(verdict).toBe('continue');
  const value = (name: string) =>
    modifications.flatMap((one) => (one.type === 'addheader' && one.name === name ? [one.value] : []))[0];
  return { thread: String(value('X-Thread')), id: Number(value('X-Id')) };
}

async function open(filter: ObservedFilter, steer = 'none.none'): Promise<MtaSession> {
  const session = await filter.open();
  await greet(session, steer);
  return session;
}

async function endsWell(filter: ObservedFilter): Promise<void> {
  expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
  const [stopped] = filter.all('stopped');
  expectThat(stopped?.made, filter.state()).toBe(stopped?.ended);
  expect(existsSync(filter.path)).toBe(false);
}

/** @contract 18 */
test('sessions are spread over the workers, their numbers are unique, getdiag adds up, the process ends', async () => {
  await using filter = await host({ run: { workers: 3 } });
  const sessions = await Promise.all(Array.from({ length: 9 }, () => open(filter)));
  const answers = await Promise.all(sessions.map(message));
  const counts = new Map<string, number>();
  for (const { thread } of answers) counts.set(thread, (counts.get(thread) ?? 0) + 1);
  expect([...counts.values()]).toStrictEqual([3, 3, 3]);
  const ids = answers.map(({ id }) => id).sort((a, b) => a - b);
  expect(ids).toStrictEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { made, ended } = await filter.diag();
  expect([made, ended]).toStrictEqual([9, 0]);
  // A session belongs to its worker for life.
  const again = await Promise.all(sessions.map(message));
  expect(again.map(({ thread }) => thread)).toStrictEqual(answers.map(({ thread }) => thread));
  filter.tell({ do: 'to workers', value: 'diag' });
  for (let nth = 1; nth <= 3; nth++) {
    expect((await filter.event('worker diag', undefined, nth)).counts).toStrictEqual([3, 0]);
  }
  await Promise.all(sessions.map((session) => session.close()));
  await endsWell(filter);
  expect(filter.count('closed down')).toBe(3); // the module's export `stopped`
  expect(filter.all('worker exit').map(({ code }) => code)).toStrictEqual([0, 0, 0]);
});

test('a new session goes to the worker with the fewest sessions', async () => {
  await using filter = await host();
  const sessions = await Promise.all(Array.from({ length: 6 }, () => open(filter)));
  const threads = (await Promise.all(sessions.map(message))).map(({ thread }) => thread);
  const idle = threads[0];
  const leaving = sessions.filter((_, index) => threads[index] === idle);
  expect(leaving).toHaveLength(3);
  await Promise.all(leaving.map((session) => session.close()));
  await until('three ended', async () => (await filter.diag()).ended === 3);
  for (let i = 0; i < 3; i++) expect((await message(await open(filter))).thread).toBe(idle);
  await endsWell(filter);
});

test('the default is one worker for each core', async () => {
  await using filter = await ObservedFilter.start({
    fixture: '../workers/host',
    run: { workers: undefined as never },
  });
  expect(filter.count('worker')).toBe(availableParallelism());
  await endsWell(filter);
});

test("workers start with the main thread's rights and exception policy; a module may change its own", async () => {
  const ADDHDRS = 1;
  const ACCEPT = 3;
  await using filter = await host({ policy: ACCEPT, more: { flags: ADDHDRS } });
  await using session = await filter.open();
  expect(session.negotiated.actions & 0xff).toBe(ADDHDRS);
  expect((await session.connect('fail.connect')).verdict).toBe('accept');
  // Through the main thread, as everything that a worker prints.
  const report = /crew: untrapped exception in connect: Error: the handler fails/;
  await until('the report', () => report.test(filter.output));
  await endsWell(filter);
  await using own = await host({ policy: ACCEPT, more: { mode: 'hook' } });
  await using other = await own.open();
  expect((await other.connect('fail.connect')).verdict).toBe('reject');
  expect((await own.event('worker hook')).message).toBe('the handler fails');
  expect(own.count('error')).toBe(0);
  await endsWell(own);
});

/** @contract 9 */
test('setExceptionPolicy in the main thread takes effect in the workers', async () => {
  const REJECT = 1;
  await using filter = await host();
  const verdict = async () => {
    await using session = await filter.open();
    return (await session.connect('fail.connect')).verdict;
  };
  expect(await verdict()).toBe('tempfail');
  filter.tell({ do: 'policy', value: REJECT });
  await until('the new policy', async () => (await verdict()) === 'reject');
  await endsWell(filter);
});

test('stop() in a worker stops the filter', async () => {
  await using filter = await host();
  const session = await open(filter, 'stop.eom');
  await session.message(goodMessage);
  await session.close();
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  expect(filter.all('stopped')[0]).toStrictEqual({ event: 'stopped', made: 1, ended: 1 });
});

test('a stop lets messages finish in every worker', async () => {
  await using filter = await host({ run: { workers: 3 } });
  const sessions = await Promise.all(Array.from({ length: 6 }, () => open(filter, 'park.eom')));
  const outcomes = sessions.map((session) => session.message(goodMessage));
  await filter.event('parked', undefined, 6);
  filter.tell({ do: 'stop' });
  await until('it drains', async () => {
    const fresh = await filter.open().catch(() => null);
    await fresh?.close();
    return fresh === null;
  });
  filter.tell({ do: 'to workers', value: 'release' });
  for (const { verdict } of await Promise.all(outcomes)) expect(verdict).toBe('continue');
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
});

test('a stop ends messages that are not finished in time, and closes open sessions', async () => {
  await using filter = await host({ run: { drainTimeout: 200 } });
  const idle = await Promise.all(Array.from({ length: 4 }, () => open(filter)));
  const parked = await open(filter, 'park.eom');
  const outcome = parked.message(goodMessage);
  await filter.event('parked');
  await endsWell(filter);
  expect((await outcome).verdict).toBe('tempfail');
  expect(filter.all('stopped')[0]).toStrictEqual({ event: 'stopped', made: 5, ended: 5 });
  await Promise.all(idle.map((session) => session.close()));
});

test('a stop under load', async () => {
  await using filter = await host({ run: { workers: 3 } });
  let done = 0;
  const lanes = Promise.all(
    Array.from({ length: 8 }, async () => {
      try {
        for (;;) {
          await using session = await open(filter);
          await message(session);
          done++;
        }
      } catch (error) {
        expect((error as { code?: string }).code).not.toBe('ERR_MILTER_TIMEOUT');
      }
    }),
  );
  await until('traffic', () => done > 50);
  await endsWell(filter);
  await lanes;
});

test.each([
  [
    'a module that keeps its worker alive is ended after the drain time, and reported',
    'hold',
    /still running 100 ms after the filter had stopped.*`stopped`/,
  ],
  [
    'a worker whose native code blocks is given up, and reported',
    'block',
    /does not end although it was terminated 5000 ms ago: native code/,
  ],
])('%s', async (_title, mode, report) => {
  await using filter = await host({ run: { drainTimeout: 100 }, more: { mode } });
  await endsWell(filter);
  const errors = filter.all('error');
  expect(errors).toHaveLength(2);
  for (const { code, message: text } of errors) {
    expect(code).toBe('ERR_MILTER_WORKER');
    expect(String(text)).toMatch(report);
  }
});

test('a second signal does not wait for the workers', async () => {
  await using filter = await host({ run: { drainTimeout: 60_000 }, more: { mode: 'hold' } });
  filter.child.kill('SIGTERM');
  await filter.event('closed down', undefined, 2);
  filter.child.kill('SIGTERM');
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  expect(filter.count('error')).toBe(0);
});

test('the longest drainTimeout does not cut close handlers short', async () => {
  await using filter = await host({ run: { drainTimeout: 2 ** 31 - 1 } });
  const session = await open(filter, 'park.close');
  filter.child.kill('SIGTERM');
  await filter.event('parked');
  // The main thread has the time to do wrong.
  for (let turn = 0; turn < 50; turn++) await filter.diag();
  filter.tell({ do: 'to workers', value: 'release' });
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  expect(filter.count('error')).toBe(0);
  await session.close();
});

test('a close handler that blocks its worker does not delay the stop for ever', async () => {
  await using filter = await host({ run: { drainTimeout: 100, handlerTimeout: 60_000 } });
  const session = await open(filter, 'spin.close');
  await message(session);
  await endsWell(filter);
  expect(String(filter.all('error')[0]?.message)).toMatch(/still running/);
  await session.close();
});

test('stop() while the workers load ends them before a socket is opened; another filter is refused', async () => {
  await using filter = await host({ listening: false, more: { stopWhileLoading: true } });
  await filter.event('stopped');
  await filter.event('stop resolved');
  expect((await filter.event('another refused')).code).toBe('ERR_MILTER_IN_USE');
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  expect(filter.count('listening')).toBe(0);
  expect(existsSync(filter.path)).toBe(false);
});

test('a start that fails ends the workers', async () => {
  await using filter = await host({ listening: false, socket: 'unix:/nowhere/at/all/sock' });
  expect((await filter.event('refused')).code).toBe('ENOENT');
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  expect(filter.count('error')).toBe(0);
});

for (const [mode, cause] of [
  ['throw', { name: 'TypeError', code: null, message: 'the module throws' }],
  ['throw from 2', { name: 'TypeError', code: null, message: 'the module throws' }],
  ['reject', { name: 'RangeError', code: null, message: 'nobody awaits this' }],
  ['run', { name: 'MilterError', code: 'ERR_MILTER_IN_USE', message: /isMainThread/ }],
  ['exit', null],
] as const) {
  test(`a module that cannot be loaded (${mode}): runmilter rejects with the reason`, async () => {
    await using filter = await host({ listening: false, more: { mode } });
    const refused = await filter.event('refused');
    expect(refused.code).toBe('ERR_MILTER_WORKER');
    expect(String(refused.message)).toMatch(
      /^worker \d \(.*filter\.js\) (ended|exited with code 4) while its module was loaded/,
    );
    const told = refused.cause as { name: string; code: unknown; message: string };
    if (cause) {
      expect(told.name).toBe(cause.name);
      expect(told.code).toBe(cause.code);
      expect(told.message).toMatch(new RegExp(cause.message));
    } else {
      expect(told.message).toBe('undefined');
    }
    expect(await filter.ended()).toStrictEqual(CLEAN_END);
    expect(existsSync(filter.path)).toBe(false);
  });
}

test('SIGTERM while the workers load kills the process, because there is no socket yet', async () => {
  await using filter = await host({ listening: false, more: { mode: 'spin' } });
  await filter.event('worker', undefined, 2);
  filter.child.kill('SIGTERM');
  expect((await filter.ended()).signal).toBe('SIGTERM');
  expect(existsSync(filter.path)).toBe(false);
});

const modules = mkdtempSync(join(tmpdir(), 'tsmilter-modules-'));
afterAll(() => rmSync(modules, { recursive: true, force: true }));
const library = JSON.stringify(require.resolve('tsmilter'));
const CLASS =
  "class extends Milter.Base { eom() { this.addheader('X-Thread', '0'); return Milter.CONTINUE; } }";
const REQUIRE = `const Milter = require(${library});\n`;
const IMPORT = `import Milter from ${library};\n`;

for (const [file, text] of [
  ['default.mjs', `${IMPORT}export default ${CLASS};`],
  ['factory.mjs', `${IMPORT}const F = ${CLASS}; export function factory() { return new F(); }`],
  ['awaits.mjs', `${IMPORT}await new Promise(setImmediate); export const factory = ${CLASS};`],
  ['sets.mjs', `${IMPORT}Milter.setFactory(${CLASS});`],
  ['class.cjs', `${REQUIRE}module.exports = ${CLASS};`],
  ['named.cjs', `${REQUIRE}module.exports = { ...{ factory: ${CLASS} } };`],
  ['own-name.cjs', `${REQUIRE}exports.helper = () => {}; exports.Stamp = ${CLASS};`],
  ['compiled.cjs', `${REQUIRE}Object.assign(exports, { __esModule: true, default: ${CLASS} });`],
] as const) {
  test(`a module may be ${file}: ${text.split('\n')[1]?.replaceAll(CLASS, 'class')}`, async () => {
    const path = join(modules, file);
    writeFileSync(path, text);
    const module = file === 'class.cjs' ? pathToFileURL(path).href : path;
    await using filter = await host({ run: { module, workers: 1 } });
    await using session = await filter.open();
    await session.connect('client.example');
    await session.helo('client.example');
    expect((await message(session)).thread).toBe('0');
    await session.close();
    await endsWell(filter);
  });
}

for (const [file, text, code, why] of [
  ['empty.mjs', 'export {};', 'ERR_MILTER_BAD_ARGUMENT', /exports no filter.*default or factory/],
  ['wrong.mjs', 'export default { a: 1 };', 'ERR_MILTER_BAD_ARGUMENT', /exports no filter/],
  [
    'several.mjs',
    `${IMPORT}export class One extends Milter.Base {} export class Two extends Milter.Base {}`,
    'ERR_MILTER_BAD_ARGUMENT',
    /several filters \(One, Two\).*default or factory/,
  ],
  ['broken.mjs', 'export default class {', null, /Unexpected/],
  [
    'slip.mjs',
    `${IMPORT}export class Slip extends Milter.Base { helo() {} } export default Slip;`,
    'ERR_MILTER_BAD_ARGUMENT',
    /^Slip has a method helo/,
  ],
  ['absent.mjs', null, 'ERR_MODULE_NOT_FOUND', /absent\.mjs/],
  ['for-ever.mjs', 'await new Promise(() => {});', null, /undefined/],
] as const) {
  test(`a module without a filter is refused: ${file}`, async () => {
    const module = join(modules, file);
    if (text !== null) writeFileSync(module, text);
    await using filter = await host({ listening: false, run: { module } });
    const refused = await filter.event('refused');
    expect(refused.code).toBe('ERR_MILTER_WORKER');
    const cause = refused.cause as { code: unknown; message: string };
    expect(cause.code).toBe(code);
    expect(cause.message).toMatch(why);
    expect(await filter.ended()).toStrictEqual(CLEAN_END);
  });
}

test('a hundred simultaneous sessions on four workers are not mixed up', async () => {
  await using filter = await host({ run: { workers: 4 } });
  const ids = new Set<number>();
  await inLanes(20, Array(100).keys(), async () => {
    await using session = await open(filter);
    ids.add((await message(session)).id);
  });
  expect(ids.size).toBe(100);
  await endsWell(filter);
});
