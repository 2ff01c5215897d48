/**
 * Stopping an idle filter, in each way, as root and as an ordinary user: it ends by itself with exit code 0, leaves no socket
 * file, and does not wait for libmilter to notice.
 */
import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { expectThat } from '../support/expect.js';
import { goodMessage, greet } from './support/messages.js';
import { CLEAN_END, ObservedFilter } from './support/observed-filter.js';

/**
 * libmilter looks for a stop only every 5 s, counted from the last connection. The filters stop right after that, so those that
 * did not wake libmilter would take nearly 5 s.
 */
const UNNOTICED = 4_000;
const NOBODY = 65_534;

const WAYS = {
  SIGTERM: (filter: ObservedFilter) => filter.child.kill('SIGTERM'),
  SIGINT: (filter: ObservedFilter) => filter.child.kill('SIGINT'),
  'stop()': (filter: ObservedFilter) => filter.tell({ do: 'stop' }),
};

async function stopsPromptly(filter: ObservedFilter, stop: (filter: ObservedFilter) => unknown) {
  const began = performance.now();
  stop(filter);
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  const took = performance.now() - began;
  expectThat(took, `the idle filter took ${took.toFixed()} ms to end`).toBeLessThan(UNNOTICED);
  expectThat(existsSync(filter.path), 'the socket file is still there').toBe(false);
}

for (const [way, stop] of Object.entries(WAYS)) {
  for (const [user, uid] of [
    ['root', undefined],
    ['an ordinary user', NOBODY],
  ] as const) {
    test(`${way} ends a filter that never had a session, as ${user}`, async () => {
      for (let round = 0; round < 2; round++) {
        await using filter = await ObservedFilter.start(uid === undefined ? {} : { uid });
        expect(existsSync(filter.path)).toBe(true);
        await stopsPromptly(filter, stop);
      }
    });

    test(`${way} ends a filter with idle MTA connections, as ${user}`, async () => {
      await using filter = await ObservedFilter.start(uid === undefined ? {} : { uid });
      const negotiated = await filter.open();
      const greeted = await filter.open();
      await greet(greeted);
      const used = await filter.open();
      await greet(used);
      expect((await used.message(goodMessage)).verdict).toBe('continue');
      await stopsPromptly(filter, stop);
      for (const session of [negotiated, greeted, used]) await session.waitForClose();
      const stopped = await filter.event('stopped');
      expect([stopped.made, stopped.ended]).toStrictEqual([3, 3]);
    });
  }
}

test('a filter on a TCP port stops as promptly', async () => {
  for (const socket of ['inet:0@127.0.0.1', 'inet:0', 'inet6:0@::1', 'inet6:0']) {
    await using filter = await ObservedFilter.start({ socket });
    await stopsPromptly(filter, WAYS.SIGTERM);
  }
});

test('a filter that has served and is idle again stops as promptly', async () => {
  await using filter = await ObservedFilter.start();
  for (let i = 0; i < 20; i++) {
    await using session = await filter.open();
    await greet(session);
    expect((await session.message(goodMessage)).verdict).toBe('continue');
  }
  await stopsPromptly(filter, WAYS.SIGTERM);
});

test('a process with other work continues after stop() until that is done', async () => {
  await using filter = await ObservedFilter.start({ more: { linger: 3_000 } });
  filter.tell({ do: 'stop' });
  await filter.event('stopped');
  expect(filter.running).toBe(true);
  expect(existsSync(filter.path)).toBe(false);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('with signals: false, signals do only what the application’s own handlers do', async () => {
  await using filter = await ObservedFilter.start({ run: { signals: false }, more: { ownSignals: true } });
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

test('with signals: false and no handler of the application, SIGTERM ends the process as usual', async () => {
  await using filter = await ObservedFilter.start({ run: { signals: false } });
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual({ code: null, signal: 'SIGTERM' });
});

test('the application’s own handler for SIGTERM runs in addition to the filter’s', async () => {
  await using filter = await ObservedFilter.start({ more: { ownSignals: true } });
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  expect(filter.count('signal')).toBe(1);
});

test('after the stop the signal handlers are removed: a second SIGTERM ends the process', async () => {
  await using filter = await ObservedFilter.start({ more: { linger: 60_000 } });
  filter.child.kill('SIGTERM');
  await filter.event('stopped');
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual({ code: null, signal: 'SIGTERM' });
});
