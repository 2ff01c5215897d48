/**
 * A filter that runs in a worker thread, and ends with it: terminate() with parked sessions, process.exit() and an
 * uncaught exception in the worker, the end of the whole process. R5: whoever waits for an answer is told that none
 * will come; the main thread lives on.
 */
import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { TIMEOUT } from '../../tools/wait.js';
import { RawPeer, upTo } from '../fixtures/lifecycle/raw-peer.js';
import { expectThat } from '../support/expect.js';
import { inLanes } from '../support/in-lanes.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter, type StartOptions } from './support/observed-filter.js';

const host = (options: StartOptions = {}) => ObservedFilter.start({ fixture: 'worker-host', ...options });

/** The main thread still does its own work, and then the process ends by itself. */
async function mainLivesOn(filter: ObservedFilter): Promise<void> {
  await filter.event('alive', undefined, filter.count('alive') + 2);
  filter.tell({ do: 'finish' });
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
}

/** Sessions parked in `step`; what each of them hears in the end. */
async function parkedSessions(filter: ObservedFilter, step: string, many: number) {
  const outcomes: Promise<string | undefined>[] = [];
  for (let i = 0; i < many; i++) {
    const session = await filter.open();
    outcomes.push(
      hearsOf(session, step).catch(
        (error: { code?: string; message?: string }) => error.code ?? error.message,
      ),
    );
    await filter.event('parked', undefined, i + 1);
  }
  return outcomes;
}

async function hearsOf(session: MtaSession, step: string): Promise<string> {
  const connect = await session.connect(`park.${step}`);
  if (connect.verdict !== 'continue') return connect.verdict;
  const helo = await session.helo('client.example');
  if (helo.verdict !== 'continue') return helo.verdict;
  return (await session.message(goodMessage)).verdict;
}

test('control: a filter in a worker serves, stops, and the process ends', async () => {
  await using filter = await host();
  await inLanes(4, Array(20).keys(), () => servesWell(filter));
  filter.tell({ do: 'stop' });
  const stopped = await filter.event('stopped');
  expect([stopped.made, stopped.ended]).toStrictEqual([20, 20]);
  expect((await filter.event('worker exit')).code).toBe(0);
  expect(existsSync(filter.path)).toBe(false);
  await mainLivesOn(filter);
});

test('terminate() while a worker loads the addon, or is inside one of its functions', async () => {
  await using filter = await host({ fixture: 'terminator', listening: false, more: { seconds: 5 } });
  await filter.event('survived', undefined, 1, 2 * TIMEOUT);
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
});

for (const loadHere of [false, true]) {
  for (const step of ['connect', 'envfrom', 'header', 'eom']) {
    const where = loadHere ? 'the addon in both threads' : 'the addon in the worker only';
    test(`terminate() with sessions parked in ${step} (${where}): each gets a temporary failure`, async () => {
      await using filter = await host({ more: { loadHere } });
      const outcomes = await parkedSessions(filter, step, 5);
      filter.tell({ do: 'terminate' });
      expect(await Promise.all(outcomes)).toStrictEqual(Array(5).fill('tempfail'));
      await filter.event('worker exit');
      await mainLivesOn(filter);
    });
  }
}

test('terminate() of a worker whose handler blocks its thread', async () => {
  await using filter = await host({ more: { blocks: true } });
  const outcomes = await parkedSessions(filter, 'eom', 1);
  filter.tell({ do: 'terminate' });
  expect(await Promise.all(outcomes)).toStrictEqual(['tempfail']);
  await filter.event('worker exit');
  await mainLivesOn(filter);
});

for (const [what, command] of [
  ['process.exit() in the worker', 'exit worker'],
  ['an uncaught exception in the worker', 'throw'],
] as const) {
  test(`${what}, with parked sessions`, async () => {
    await using filter = await host();
    const outcomes = await parkedSessions(filter, 'eom', 5);
    filter.tell({ do: command });
    expect(await Promise.all(outcomes)).toStrictEqual(Array(5).fill('tempfail'));
    await filter.event('worker exit');
    await mainLivesOn(filter);
  });
}

test('terminate() in the middle of traffic, several times', async () => {
  for (let round = 0; round < 4; round++) {
    await using filter = await host();
    let done = 0;
    const traffic = Promise.all(
      Array.from({ length: 6 }, async () => {
        try {
          for (;;) {
            await servesWell(filter);
            done++;
          }
        } catch (error) {
          // Refused, hung up on, or answered tempfail; not left waiting.
          expect((error as { code?: string }).code).not.toBe('ERR_MILTER_TIMEOUT');
        }
      }),
    );
    while (done < 10 + 7 * round) await new Promise((resolve) => setImmediate(resolve));
    filter.tell({ do: 'terminate' });
    await filter.event('worker exit');
    await traffic;
    await mainLivesOn(filter);
  }
});

test('after terminate(), neither a new MTA nor one with an open session is left waiting', async () => {
  await using filter = await host();
  const old = await filter.open();
  await greet(old);
  filter.tell({ do: 'terminate' });
  await filter.event('worker exit');
  const outcome = await old.mail('<a@client.example>').then(
    ({ verdict }) => verdict,
    (error: { code?: string }) => error.code,
  );
  expectThat(['tempfail', 'ERR_MILTER_CLOSED'], outcome).toContain(outcome ?? '');
  const fresh = await filter.open().then(
    () => 'opened',
    (error: { code?: string }) => error.code,
  );
  expectThat(['ERR_MILTER_CLOSED', 'ECONNREFUSED', 'ENOENT'], fresh).toContain(fresh ?? '');
  await mainLivesOn(filter);
});

test('an MTA that reads again after terminate() is not left waiting', async () => {
  await using filter = await host({ more: { floods: true } });
  await using peer = await RawPeer.dial(filter.socket);
  peer.send(upTo('eom', 'client.example'));
  await filter.event('flooding');
  await peer.hears();
  filter.tell({ do: 'terminate' });
  await filter.event('worker exit');
  await peer.rest();
  await mainLivesOn(filter);
});

test('a second worker in the same process is refused: in use while one runs, already run after', async () => {
  await using filter = await host();
  filter.tell({ do: 'another' });
  expect((await filter.event('refused')).code).toBe('ERR_MILTER_IN_USE');
  await servesWell(filter);
  await using ended = await host();
  ended.tell({ do: 'stop' });
  await ended.event('worker exit');
  ended.tell({ do: 'another' });
  expect((await ended.event('refused')).code).toBe('ERR_MILTER_ALREADY_RUN');
});

test('process.exit() of the main thread, with sessions parked in the worker', async () => {
  await using filter = await host();
  const outcomes = await parkedSessions(filter, 'eom', 5);
  filter.tell({ do: 'exit' });
  expect(await filter.ended()).toStrictEqual({ code: 7, signal: null });
  for (const outcome of await Promise.all(outcomes)) {
    expectThat(['tempfail', 'ERR_MILTER_CLOSED'], outcome).toContain(outcome ?? '');
  }
});
