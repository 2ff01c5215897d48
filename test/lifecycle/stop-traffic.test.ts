/**
 * Stopping under traffic: sessions that come and go meanwhile, several stops at once, a JS thread that is never blocked, and a
 * socket that the next process takes over immediately.
 */
import { existsSync, renameSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { within } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { inLanes } from '../support/in-lanes.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter } from './support/observed-filter.js';

/** A tick comes every 5 ms, also on a busy machine; a thread that calls smfi_stop itself may be blocked for 5 s. */
const NO_GAP = 4_000;
/** Less than drainTimeout, which is 10 s by default. */
const BEFORE_DRAIN = 9_000;

/** What an MTA may see of a filter that stops: its end, or that nothing listens. */
const GONE = new Set(['ERR_MILTER_CLOSED', 'ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'EAGAIN']);
const ANSWERS = new Set(['continue', 'tempfail']);

/** Opens sessions one after the other until the filter has ended; counts what they saw. */
async function comeAndGo(filter: ObservedFilter, seen: Map<string, number>, steer: string): Promise<void> {
  const note = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
  for (;;) {
    try {
      await using session = await filter.open();
      await greet(session, steer);
      const { verdict } = await session.message(goodMessage);
      expectThat(ANSWERS.has(verdict), `a session was answered ${verdict}`).toBe(true);
      note(verdict);
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (!GONE.has(code)) throw error;
      note(code);
      if (!filter.running || !existsSync(filter.path)) return;
    }
  }
}

test('control: sessions that come and go see no failure while nothing stops', async () => {
  await using filter = await ObservedFilter.start();
  await inLanes(8, Array(100).keys(), () => servesWell(filter));
  const { made, ended } = await filter.diag();
  expect(made).toBe(100);
  expect(ended).toBe(100);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

for (const steer of ['none.none', 'takesAMoment.eom', 'takesAMoment.close']) {
  test(`sessions come and go while the filter stops (${steer}), three times`, async () => {
    for (let round = 0; round < 3; round++) {
      await using filter = await ObservedFilter.start({ run: { drainTimeout: 300 } });
      const seen = new Map<string, number>();
      const traffic = Promise.all(Array.from({ length: 10 }, () => comeAndGo(filter, seen, steer)));
      traffic.catch(() => {}); // awaited below
      await filter.open().then((session) => session.close());
      // A different moment of the traffic each time.
      const target = 20 + round * 13;
      while ((seen.get('continue') ?? 0) < target) await new Promise((resolve) => setImmediate(resolve));
      filter.child.kill('SIGTERM');
      expect(await filter.ended()).toStrictEqual(CLEAN_END);
      await within('the end of the traffic', traffic);
      const [stopped] = filter.all('stopped');
      expectThat(stopped?.made, filter.state()).toBe(stopped?.ended);
      expectThat(stopped?.longest as number, `the JS thread stood still: ${filter.state()}`).toBeLessThan(
        NO_GAP,
      );
    }
  });
}

test('sessions that are refused while the filter stops do not delay it', async () => {
  await using filter = await ObservedFilter.start(); // drainTimeout is 10 s
  await servesWell(filter);
  const knocking = Promise.all(
    Array.from({ length: 3 }, async () => {
      while (filter.running) {
        await filter.open().then(
          (session) => session.destroy(),
          () => new Promise((resolve) => setTimeout(resolve, 10)),
        );
      }
    }),
  );
  const began = performance.now();
  filter.child.kill('SIGTERM');
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  const took = performance.now() - began;
  await knocking;
  expectThat(took, `no message was under way, yet the stop took ${took.toFixed()} ms`).toBeLessThan(
    BEFORE_DRAIN,
  );
});

test('new messages that are refused while the filter stops do not delay it', async () => {
  await using filter = await ObservedFilter.start(); // drainTimeout is 10 s
  const session = await filter.open();
  await greet(session);
  const began = performance.now();
  filter.child.kill('SIGTERM');
  const insisting = (async () => {
    // An MTA whose client tries again and again on the old connection.
    while (filter.running) {
      const mail = await session.mail('<a@client.example>');
      if (mail.verdict === 'continue') await session.abort();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })().catch(() => {});
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  const took = performance.now() - began;
  await insisting;
  expectThat(took, `no message was under way, yet the stop took ${took.toFixed()} ms`).toBeLessThan(
    BEFORE_DRAIN,
  );
});

test('the JS thread is not blocked while an idle filter, or one with a parked handler, stops', async () => {
  for (const parked of [false, true]) {
    await using filter = await ObservedFilter.start({ run: { drainTimeout: 1_000 } });
    const session = await filter.open();
    await greet(session, 'park.eom');
    if (parked) {
      session.message(goodMessage).catch(() => {});
      await filter.event('parked');
    }
    filter.tell({ do: 'ticks' }); // restarts the measurement
    await filter.event('ticks');
    filter.tell({ do: 'stop' });
    expect(await filter.ended()).toStrictEqual(CLEAN_END);
    const longest = filter.all('stopped')[0]?.longest as number;
    expectThat(longest, `no tick for ${longest} ms`).toBeLessThan(NO_GAP);
  }
});

test('stop() many times, and signals as well: each call resolves, and the filter stops once', async () => {
  await using filter = await ObservedFilter.start();
  await servesWell(filter);
  for (let i = 0; i < 5; i++) filter.tell({ do: 'stop' });
  filter.child.kill('SIGTERM');
  filter.child.kill('SIGINT');
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  expect(filter.count('stop resolved')).toBe(5);
  expect(filter.count('stopped')).toBe(1);
});

test('stop() before the start, and after the end, does nothing and resolves', async () => {
  await using filter = await ObservedFilter.start({ more: { stopFirst: true, linger: 300 } });
  expect(filter.count('stop resolved')).toBe(1);
  await servesWell(filter);
  filter.tell({ do: 'stop' });
  await filter.event('stopped');
  filter.tell({ do: 'stop' });
  await filter.event('stop resolved', undefined, 3);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('stop() from onListening, before any session, stops the filter', async () => {
  await using filter = await ObservedFilter.start({ more: { stopAtOnce: true } });
  expect(await filter.ended(BEFORE_DRAIN)).toStrictEqual(CLEAN_END);
  expect(existsSync(filter.path)).toBe(false);
});

for (const step of ['connect', 'eom', 'close', 'abort']) {
  test(`stop() from inside the ${step} handler lets it finish`, async () => {
    await using filter = await ObservedFilter.start();
    const session = await filter.open();
    expect((await session.connect(`stopsTheFilter.${step}`)).verdict).toBe('continue');
    if (step === 'eom') {
      await session.helo('client.example');
      const { verdict, modifications } = await session.message(goodMessage);
      expect(verdict).toBe('continue');
      expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Stopped', value: 'yes' }]);
    } else if (step === 'abort') {
      await session.mail('<a@client.example>');
      await session.abort();
    } else if (step === 'close') {
      await session.quit();
    }
    expect(await filter.ended(BEFORE_DRAIN)).toStrictEqual(CLEAN_END);
  });
}

test('the next process takes over the socket of a stopped filter immediately', async () => {
  await using first = await ObservedFilter.start();
  await servesWell(first);
  let before = first;
  for (let round = 0; round < 3; round++) {
    before.tell({ do: 'stop' });
    await before.event('stopped'); // not the end of its process, which may still run
    const next = await ObservedFilter.start({ socket: first.socket });
    if (before !== first) await before[Symbol.asyncDispose]();
    await servesWell(next);
    expect(await before.ended()).toStrictEqual(CLEAN_END);
    await servesWell(next); // the end of the previous filter has not removed this one's socket
    before = next;
  }
  expect(await before.stop()).toStrictEqual(CLEAN_END);
  await before[Symbol.asyncDispose]();
});

test('a filter that stops does not remove a socket that another process has put in its place', async () => {
  await using first = await ObservedFilter.start();
  renameSync(first.path, `${first.path}.old`); // as an operator does to let two filters overlap
  await using second = await ObservedFilter.start({ socket: first.socket });
  expect(await first.stop()).toStrictEqual(CLEAN_END);
  expect(existsSync(second.path)).toBe(true);
  await servesWell(second);
  expect(await second.stop()).toStrictEqual(CLEAN_END);
});
