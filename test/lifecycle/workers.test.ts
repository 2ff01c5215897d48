/** A filter whose sessions are served in worker threads: who gets a session, settings, the start and the stop. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { MtaSession } from 'tsmilter/testing';
import { inLanes, until } from './support/deadline.js';
import { CLEAN_END, FilterProcess, type StartOptions } from './support/filter-process.js';
import { goodMessage, greet } from './support/messages.js';

const host = (options: StartOptions = {}) => FilterProcess.start({ fixture: '../workers/host', ...options });

/** What the worker of a session says of itself in a message. */
async function message(session: MtaSession): Promise<{ thread: string; id: number }> {
  const { verdict, modifications } = await session.message(goodMessage);
  assert.equal(verdict, 'continue');
  const value = (name: string) =>
    modifications.flatMap((one) => (one.type === 'addheader' && one.name === name ? [one.value] : []))[0];
  return { thread: String(value('X-Thread')), id: Number(value('X-Id')) };
}

async function open(filter: FilterProcess, steer = 'none.none'): Promise<MtaSession> {
  const session = await filter.open();
  await greet(session, steer);
  return session;
}

async function endsWell(filter: FilterProcess): Promise<void> {
  assert.deepEqual(await filter.stop(), CLEAN_END, filter.state());
  const [stopped] = filter.all('stopped');
  assert.equal(stopped?.made, stopped?.ended, filter.state());
  assert.ok(!existsSync(filter.path));
}

test('contract 18: sessions go to the workers in turn, their numbers are unique, getdiag adds up, the process ends', async () => {
  await using filter = await host({ run: { workers: 3 } });
  const sessions = await Promise.all(Array.from({ length: 9 }, () => open(filter)));
  const answers = await Promise.all(sessions.map(message));
  const counts = new Map<string, number>();
  for (const { thread } of answers) counts.set(thread, (counts.get(thread) ?? 0) + 1);
  assert.deepEqual([...counts.values()], [3, 3, 3]);
  const ids = answers.map(({ id }) => id).sort((a, b) => a - b);
  assert.deepEqual(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { made, ended } = await filter.diag();
  assert.deepEqual([made, ended], [9, 0]);
  // A session belongs to its worker for life.
  const again = await Promise.all(sessions.map(message));
  assert.deepEqual(
    again.map(({ thread }) => thread),
    answers.map(({ thread }) => thread),
  );
  filter.tell({ do: 'to workers', value: 'diag' });
  for (let nth = 1; nth <= 3; nth++) {
    assert.deepEqual((await filter.event('worker diag', undefined, nth)).counts, [3, 0]);
  }
  await Promise.all(sessions.map((session) => session.close()));
  await endsWell(filter);
  assert.equal(filter.count('closed down'), 3); // the module's export `stopped`
  assert.deepEqual(
    filter.all('worker exit').map(({ code }) => code),
    [0, 0, 0],
  );
});

test('a new session goes to the worker that has the fewest', async () => {
  await using filter = await host();
  const sessions = await Promise.all(Array.from({ length: 6 }, () => open(filter)));
  const threads = (await Promise.all(sessions.map(message))).map(({ thread }) => thread);
  const idle = threads[0];
  const leaving = sessions.filter((_, index) => threads[index] === idle);
  assert.equal(leaving.length, 3);
  await Promise.all(leaving.map((session) => session.close()));
  await until('three ended', async () => (await filter.diag()).ended === 3);
  for (let i = 0; i < 3; i++) assert.equal((await message(await open(filter))).thread, idle);
  await endsWell(filter);
});

test('the default is one worker for each core', async () => {
  await using filter = await FilterProcess.start({
    fixture: '../workers/host',
    run: { workers: undefined as never },
  });
  const { availableParallelism } = await import('node:os');
  assert.equal(filter.count('worker'), availableParallelism());
  await endsWell(filter);
});

test("the main thread's rights and exception policy are where workers begin; a module may change its own", async () => {
  const ADDHDRS = 1;
  const ACCEPT = 3;
  await using filter = await host({ policy: ACCEPT, more: { flags: ADDHDRS } });
  await using session = await filter.open();
  assert.equal(session.negotiated.actions & 0xff, ADDHDRS);
  assert.equal((await session.connect('fail.connect')).verdict, 'accept');
  // By way of the main thread, as all that a worker prints.
  const report = /crew: untrapped exception in connect: Error: the handler fails/;
  await until('the report', () => report.test(filter.output));
  await endsWell(filter);
  await using own = await host({ policy: ACCEPT, more: { mode: 'hook' } });
  await using other = await own.open();
  assert.equal((await other.connect('fail.connect')).verdict, 'reject');
  assert.equal((await own.event('worker hook')).message, 'the handler fails');
  assert.equal(own.count('error'), 0);
  await endsWell(own);
});

test('contract 9: setExceptionPolicy in the main thread holds in the workers from then on', async () => {
  const REJECT = 1;
  await using filter = await host();
  const verdict = async () => {
    await using session = await filter.open();
    return (await session.connect('fail.connect')).verdict;
  };
  assert.equal(await verdict(), 'tempfail');
  filter.tell({ do: 'policy', value: REJECT });
  await until('the new policy', async () => (await verdict()) === 'reject');
  await endsWell(filter);
});

test('stop() in a worker stops the filter', async () => {
  await using filter = await host();
  const session = await open(filter, 'stop.eom');
  await session.message(goodMessage);
  await session.close();
  assert.deepEqual(await filter.ended(), CLEAN_END, filter.state());
  assert.deepEqual(filter.all('stopped')[0], { event: 'stopped', made: 1, ended: 1 });
});

test('a stop lets messages finish, in every worker', async () => {
  await using filter = await host({ run: { workers: 3 } });
  const sessions = await Promise.all(Array.from({ length: 6 }, () => open(filter, 'park.eom')));
  const outcomes = sessions.map((session) => session.message(goodMessage));
  await filter.event('parked', undefined, 6);
  filter.tell({ do: 'stop' });
  await until('it drains', async () => {
    const fresh = await filter.open({ timeout: 3_000 }).catch(() => null);
    await fresh?.close();
    return fresh === null;
  });
  filter.tell({ do: 'to workers', value: 'release' });
  for (const { verdict } of await Promise.all(outcomes)) assert.equal(verdict, 'continue');
  assert.deepEqual(await filter.ended(), CLEAN_END, filter.state());
});

test('a stop releases what is not done in time, and closes sessions that are open', async () => {
  await using filter = await host({ run: { drainTimeout: 200 } });
  const idle = await Promise.all(Array.from({ length: 4 }, () => open(filter)));
  const parked = await open(filter, 'park.eom');
  const outcome = parked.message(goodMessage);
  await filter.event('parked');
  await endsWell(filter);
  assert.equal((await outcome).verdict, 'tempfail');
  assert.deepEqual(filter.all('stopped')[0], { event: 'stopped', made: 5, ended: 5 });
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
        assert.notEqual((error as { code?: string }).code, 'ERR_MILTER_TIMEOUT');
      }
    }),
  );
  await until('traffic', () => done > 50);
  await endsWell(filter);
  await lanes;
});

test('what a module leaves open is ended after the drain time, and told', async () => {
  await using filter = await host({ run: { drainTimeout: 100 }, more: { mode: 'hold' } });
  await endsWell(filter);
  const errors = filter.all('error');
  assert.equal(errors.length, 2);
  for (const { code, message: text } of errors) {
    assert.equal(code, 'ERR_MILTER_WORKER');
    assert.match(String(text), /still running 100 ms after the filter had stopped.*`stopped`/);
  }
});

test('a second signal waits for no worker', async () => {
  await using filter = await host({ run: { drainTimeout: 60_000 }, more: { mode: 'hold' } });
  filter.child.kill('SIGTERM');
  await filter.event('closed down', undefined, 2);
  filter.child.kill('SIGTERM');
  assert.deepEqual(await filter.ended(), CLEAN_END, filter.state());
  assert.equal(filter.count('error'), 0);
});

test('a close handler that blocks its worker does not keep the filter', async () => {
  await using filter = await host({ run: { drainTimeout: 100, handlerTimeout: 60_000 } });
  const session = await open(filter, 'spin.close');
  await message(session);
  await endsWell(filter);
  assert.match(String(filter.all('error')[0]?.message), /still running/);
  await session.close();
});

test('stop() while the workers load ends them, before there is a socket; another filter is refused', async () => {
  await using filter = await host({ listening: false, more: { stopWhileLoading: true } });
  await filter.event('stopped');
  await filter.event('stop resolved');
  assert.equal((await filter.event('another refused')).code, 'ERR_MILTER_IN_USE');
  assert.deepEqual(await filter.ended(), CLEAN_END);
  assert.equal(filter.count('listening'), 0);
  assert.ok(!existsSync(filter.path));
});

test('a start that fails ends the workers', async () => {
  await using filter = await host({ listening: false, socket: 'unix:/nowhere/at/all/sock' });
  assert.equal((await filter.event('refused')).code, 'ENOENT');
  assert.deepEqual(await filter.ended(), CLEAN_END, filter.state());
  assert.equal(filter.count('error'), 0);
});

for (const [mode, cause] of [
  ['throw', { name: 'TypeError', code: null, message: 'the module throws' }],
  ['throw from 2', { name: 'TypeError', code: null, message: 'the module throws' }],
  ['reject', { name: 'RangeError', code: null, message: 'nobody awaits this' }],
  ['run', { name: 'MilterError', code: 'ERR_MILTER_IN_USE', message: /isMainThread/ }],
  ['exit', null],
] as const) {
  test(`a module that cannot be loaded (${mode}): runmilter rejects and says why`, async () => {
    await using filter = await host({ listening: false, more: { mode } });
    const refused = await filter.event('refused');
    assert.equal(refused.code, 'ERR_MILTER_WORKER');
    assert.match(
      String(refused.message),
      /^worker \d \(.*filter\.js\) (ended|exited with code 4) while its module was loaded/,
    );
    const told = refused.cause as { name: string; code: unknown; message: string };
    if (cause) {
      assert.equal(told.name, cause.name);
      assert.equal(told.code, cause.code);
      assert.match(told.message, new RegExp(cause.message));
    } else {
      assert.equal(told.message, 'undefined');
    }
    assert.deepEqual(await filter.ended(), CLEAN_END);
    assert.ok(!existsSync(filter.path));
  });
}

test('SIGTERM while the workers load kills the process: there is no socket yet', async () => {
  await using filter = await host({ listening: false, more: { mode: 'spin' } });
  await filter.event('worker', undefined, 2);
  filter.child.kill('SIGTERM');
  assert.equal((await filter.ended()).signal, 'SIGTERM');
  assert.ok(!existsSync(filter.path));
});

const modules = mkdtempSync(join(tmpdir(), 'tsmilter-modules-'));
after(() => rmSync(modules, { recursive: true, force: true }));
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
    assert.equal((await message(session)).thread, '0');
    await session.close();
    await endsWell(filter);
  });
}

for (const [file, text, code, why] of [
  ['empty.mjs', 'export {};', 'ERR_MILTER_BAD_ARGUMENT', /exports no filter.*default or factory/],
  ['wrong.mjs', 'export default { a: 1 };', 'ERR_MILTER_BAD_ARGUMENT', /exports no filter/],
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
  test(`a module that gives no filter is refused: ${file}`, async () => {
    const module = join(modules, file);
    if (text !== null) writeFileSync(module, text);
    await using filter = await host({ listening: false, run: { module } });
    const refused = await filter.event('refused');
    assert.equal(refused.code, 'ERR_MILTER_WORKER');
    const cause = refused.cause as { code: unknown; message: string };
    assert.equal(cause.code, code);
    assert.match(cause.message, why);
    assert.deepEqual(await filter.ended(), CLEAN_END);
  });
}

test('a hundred sessions at once over four workers, none mixed up', async () => {
  await using filter = await host({ run: { workers: 4 } });
  const ids = new Set<number>();
  await inLanes(20, Array(100).keys(), async () => {
    await using session = await open(filter);
    ids.add((await message(session)).id);
  });
  assert.equal(ids.size, 100);
  await endsWell(filter);
});
