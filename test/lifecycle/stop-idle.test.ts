/**
 * Stopping a filter that has nothing to do: within a second, exit code 0 without help, no socket file left behind,
 * as root and as an ordinary user, by each of the ways to stop.
 */
import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { expectThat } from '../support/expect.js';
import { CLEAN_END, FilterProcess } from './support/filter-process.js';
import { goodMessage, greet } from './support/messages.js';

/** The promise of issue 2: an idle filter stops within this time. */
const SOON = 1_000;
const NOBODY = 65_534;

const WAYS = {
  SIGTERM: (filter: FilterProcess) => filter.child.kill('SIGTERM'),
  SIGINT: (filter: FilterProcess) => filter.child.kill('SIGINT'),
  'stop()': (filter: FilterProcess) => filter.tell({ do: 'stop' }),
};

async function stopsSoon(filter: FilterProcess, stop: (filter: FilterProcess) => unknown) {
  const began = performance.now();
  stop(filter);
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  const took = performance.now() - began;
  expectThat(took, `the idle filter took ${took.toFixed()} ms to end`).toBeLessThan(SOON);
  expectThat(existsSync(filter.path), 'the socket file is still there').toBe(false);
}

for (const [way, stop] of Object.entries(WAYS)) {
  for (const [user, uid] of [
    ['root', undefined],
    ['an ordinary user', NOBODY],
  ] as const) {
    test(`${way} ends a filter that never had a session, as ${user}`, async () => {
      for (let round = 0; round < 2; round++) {
        await using filter = await FilterProcess.start(uid === undefined ? {} : { uid });
        expect(existsSync(filter.path)).toBe(true);
        await stopsSoon(filter, stop);
      }
    });

    test(`${way} ends a filter with idle MTA connections, as ${user}`, async () => {
      await using filter = await FilterProcess.start(uid === undefined ? {} : { uid });
      const negotiated = await filter.open();
      const greeted = await filter.open();
      await greet(greeted);
      const used = await filter.open();
      await greet(used);
      expect((await used.message(goodMessage)).verdict).toBe('continue');
      await stopsSoon(filter, stop);
      for (const session of [negotiated, greeted, used]) await session.waitForClose();
      const stopped = await filter.event('stopped');
      expect([stopped.made, stopped.ended]).toStrictEqual([3, 3]);
    });
  }
}

test('a filter on a TCP port stops as soon', async () => {
  for (const socket of ['inet:0@127.0.0.1', 'inet:0', 'inet6:0@::1', 'inet6:0']) {
    await using filter = await FilterProcess.start({ socket });
    await stopsSoon(filter, WAYS.SIGTERM);
  }
});

test('a filter that has served and is idle again stops as soon', async () => {
  await using filter = await FilterProcess.start();
  for (let i = 0; i < 20; i++) {
    await using session = await filter.open();
    await greet(session);
    expect((await session.message(goodMessage)).verdict).toBe('continue');
  }
  await stopsSoon(filter, WAYS.SIGTERM);
});

test('a process with something else to do lives on after stop(), until that is done', async () => {
  await using filter = await FilterProcess.start({ more: { linger: 600 } });
  filter.tell({ do: 'stop' });
  await filter.event('stopped', undefined, 1, SOON);
  expect(filter.running).toBe(true);
  expect(existsSync(filter.path)).toBe(false);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('with signals: false SIGTERM is the user’s: nothing stops but what his handler does', async () => {
  await using filter = await FilterProcess.start({ run: { signals: false }, more: { ownSignals: true } });
  await using session = await filter.open();
  await greet(session);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    filter.child.kill(signal);
    await filter.event('signal', (told) => told.signal === signal);
  }
  expect((await session.message(goodMessage)).verdict).toBe('continue');
  filter.tell({ do: 'stop' });
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('with signals: false and no handler of the user’s SIGTERM ends the process as any other', async () => {
  await using filter = await FilterProcess.start({ run: { signals: false } });
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual({ code: null, signal: 'SIGTERM' });
});

test('a handler of the user’s for SIGTERM runs beside the filter’s own', async () => {
  await using filter = await FilterProcess.start({ more: { ownSignals: true } });
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  expect(filter.count('signal')).toBe(1);
});

test('signal handlers are gone after the end: a second SIGTERM ends a process that lives on', async () => {
  await using filter = await FilterProcess.start({ more: { linger: 60_000 } });
  filter.child.kill('SIGTERM');
  await filter.event('stopped');
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual({ code: null, signal: 'SIGTERM' });
});
