/**
 * Workers that die: their sessions are refused for now, the others do not notice, and somebody follows. R5 for each way
 * to die: an exception that nobody catches, process.exit(), out of memory, terminate(), a loop without end.
 */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { goodMessage, greet } from './support/messages.js';
import { CLEAN_END, ObservedFilter, type StartOptions } from './support/observed-filter.js';

/** Milliseconds: MessageQueue::kStuck. */
const STUCK = 5_000;

const host = (options: StartOptions = {}) => ObservedFilter.start({ fixture: '../workers/host', ...options });

async function open(filter: ObservedFilter, steer = 'none.none'): Promise<MtaSession> {
  const session = await filter.open();
  await greet(session, steer);
  return session;
}

/** A message's verdict, and the thread that has answered. */
async function message(session: MtaSession): Promise<{ verdict: string; thread: number }> {
  const { verdict, modifications } = await session.message(goodMessage);
  const found = modifications.flatMap((one) =>
    one.type === 'addheader' && one.name === 'X-Thread' ? [Number(one.value)] : [],
  );
  return { verdict, thread: found[0] ?? 0 };
}

async function endsWell(filter: ObservedFilter): Promise<void> {
  expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
  const [stopped] = filter.all('stopped');
  expectThat(stopped?.made, filter.state()).toBe(stopped?.ended);
  expect(existsSync(filter.path)).toBe(false);
}

/** Resolves when so many workers have loaded their module in all, and serve as far as that can be seen. */
async function replaced(filter: ObservedFilter, loads: number): Promise<void> {
  await filter.event('loaded', undefined, loads);
}

for (const [how, behaviour, why, causeCode] of [
  ['an exception that nobody catches', 'throw', /has ended: Error: nobody catches this/, 'E_TEST'],
  ['process.exit()', 'exit', /exited with code 3 while it took sessions/, null],
  ['out of memory', 'exhaust', /has ended: .*memory/, 'ERR_WORKER_OUT_OF_MEMORY'],
  ['terminate()', 'terminate', /exited with code 1 while it took sessions/, null],
] as const) {
  test(`${how}: the worker's sessions get a temporary failure, others continue, the worker is replaced`, async () => {
    await using filter = await host({ run: { resourceLimits: { maxOldGenerationSizeMb: 32 } } });
    // Two sessions parked, one idle and one idle in a message, in each worker.
    const parked = await Promise.all([1, 2, 3, 4].map(() => open(filter, 'park.eom')));
    const outcomes = parked.map(message);
    await filter.event('parked', undefined, 4);
    const idle = await Promise.all([1, 2].map(() => open(filter)));
    const inMessage = await Promise.all([1, 2].map(() => open(filter, 'none.none')));
    const homes = await Promise.all(inMessage.map(message));
    for (const session of inMessage)
      expect((await session.mail('<a@client.example>')).verdict).toBe('continue');

    const culprit = behaviour === 'terminate' ? null : await open(filter, `${behaviour}.eom`);
    const dying = culprit ? culprit.message(goodMessage) : null;
    if (!culprit) filter.tell({ do: 'terminate', value: homes[0]?.thread as number });

    const { thread } = await filter.event('worker exit');
    if (dying) expect((await dying).verdict).toBe('tempfail');
    filter.tell({ do: 'to workers', value: 'release' });
    const verdicts = (await Promise.all(outcomes)).map(({ verdict }) => verdict).sort();
    expect(verdicts).toStrictEqual(['continue', 'continue', 'tempfail', 'tempfail']);
    for (const [index, session] of inMessage.entries()) {
      const died = homes[index]?.thread === thread;
      await session.rcpt('<b@example.com>');
      await session.header('Subject', 'still here');
      expect((await session.eom()).verdict).toBe(died ? 'tempfail' : 'continue');
    }
    const later = (await Promise.all(idle.map((session) => session.message(goodMessage)))).map(
      ({ verdict }) => verdict,
    );
    expect(later.sort()).toStrictEqual(['continue', 'tempfail']);

    const error = await filter.event('error');
    expect([error.code, error.step]).toStrictEqual(['ERR_MILTER_WORKER', 'a worker']);
    expect(String(error.message)).toMatch(why);
    expect((error.cause as { code: unknown } | null)?.code ?? null).toBe(causeCode);

    await replaced(filter, 3);
    const all = [...parked, ...idle, ...inMessage, ...(culprit ? [culprit] : [])];
    await Promise.all(all.map((session) => session.close()));
    // New sessions find both workers, and none is refused, as soon as the new one serves.
    const threads = new Set<number>();
    await until('both workers', async () => {
      await using session = await open(filter);
      threads.add((await message(session)).thread);
      return threads.size === 2;
    });
    expect(threads.has(thread as number)).toBe(false);
    await endsWell(filter);
    expect(filter.count('error')).toBe(1);
  });
}

test('while no worker is alive, sessions get a temporary failure, whatever the MTA does without a filter', async () => {
  await using filter = await host({ run: { workers: 1 }, more: { mode: 'throw from 2' } });
  const old = await open(filter);
  const { thread } = await message(old);
  filter.tell({ do: 'terminate', value: thread });
  await filter.event('worker exit');
  const fresh = await filter.open();
  expect((await fresh.connect('client.example')).verdict).toBe('tempfail');
  expect((await old.mail('<a@client.example>')).verdict).toBe('tempfail');
  await fresh.close();
  await old.close();
  await endsWell(filter);
});

test('a single worker that dies is replaced by one that serves', async () => {
  await using filter = await host({ run: { workers: 1 } });
  for (let life = 1; life <= 3; life++) {
    const session = await open(filter, 'exit.eom');
    expect((await message(session)).verdict).toBe('tempfail');
    await session.close();
    await filter.event('worker exit', undefined, life);
    await until('its follower serves', async () => {
      await using next = await filter.open();
      return (await next.connect('none.none')).verdict === 'continue';
    });
  }
  expect(filter.count('error')).toBe(3);
  await endsWell(filter);
});

test('a module that can no longer be loaded is retried after increasing pauses', async () => {
  await using filter = await host({ run: { workers: 1 }, more: { mode: 'throw from 2' } });
  filter.tell({ do: 'terminate', value: (await filter.event('worker')).thread as number });
  await filter.event('error', undefined, 5);
  const times = filter.all('error').map(({ at }) => at as number);
  for (const [index, least] of [100, 200, 400, 800].entries()) {
    const pause = (times[index + 1] as number) - (times[index] as number);
    expectThat(pause, `pause ${index + 1} was ${pause} ms`).toBeGreaterThan(least - 5);
  }
  expect(String(filter.all('error')[1]?.message)).toMatch(/ended while its module was loaded: TypeError/);
  await endsWell(filter); // in the middle of a pause
});

test('a stop while a replacement is being loaded', async () => {
  await using filter = await host({ run: { workers: 2 }, more: { mode: 'spin from 3' } });
  const session = await open(filter);
  filter.tell({ do: 'terminate', value: (await message(session)).thread });
  await replaced(filter, 3);
  await endsWell(filter);
  await session.close();
});

test('new sessions pass over a worker that has been blocked for 5 seconds', async () => {
  await using filter = await host({ run: { handlerTimeout: 60_000 } });
  const stuck = await open(filter, 'spin.eom');
  const outcome = stuck.message(goodMessage);
  const { thread } = await filter.event('spins');
  // Until something has waited that long, the worker may be back at any moment: of these, one has to wait for it.
  const early = [1, 2].map(() => filter.open());
  await Promise.race(early);
  await sleep(STUCK);
  const sessions = await Promise.all(Array.from({ length: 6 }, () => open(filter)));
  const homes = await Promise.all(sessions.map(message));
  expect(homes.map((home) => home.thread === thread)).toStrictEqual(sessions.map(() => false));
  filter.tell({ do: 'terminate', value: Number(thread) });
  expect((await outcome).verdict).toBe('tempfail');
  await replaced(filter, 3);
  await Promise.all([stuck, ...(await Promise.all(early)), ...sessions].map((session) => session.close()));
  await endsWell(filter);
});

test('an endless loop: the policy answers, other sessions continue, the worker is replaced', async () => {
  await using filter = await host({ run: { handlerTimeout: 1_000 } });
  const stuck = await open(filter, 'spin.eom');
  const neighbours = await Promise.all([1, 2, 3].map(() => open(filter)));
  const homes = await Promise.all(neighbours.map(message));
  const outcome = stuck.message(goodMessage);
  const { thread } = await filter.event('spins');
  const others = neighbours.filter((_, index) => homes[index]?.thread !== thread);
  expect(others).toHaveLength(2);
  let served = 0;
  let over = false;
  const traffic = (async () => {
    for (; !over; served++) {
      for (const session of others) expect((await message(session)).verdict).toBe('continue');
    }
  })();
  const { response } = await outcome;
  expect(response.reply?.text).toBe('451 4.3.0 crew: untrapped exception');
  const error = await filter.event('error');
  expect(error.code).toBe('ERR_MILTER_WORKER');
  expect(String(error.message)).toMatch(/was blocked by one handler for 3000 ms, and was terminated/);
  await replaced(filter, 3);
  over = true;
  await traffic;
  expect(served).toBeGreaterThan(0);
  await Promise.all([stuck, ...neighbours].map((session) => session.close()));
  await endsWell(filter);
});

test('workers that die under load: no session is left waiting, and only their own are refused', async () => {
  const DEATHS = 5;
  await using filter = await host({ run: { workers: 3 } });
  let refused = 0;
  let done = 0;
  let over = false;
  const lanes = Promise.all(
    Array.from({ length: 6 }, async () => {
      while (!over) {
        await using session = await filter.open();
        const connect = await session.connect('none.none');
        const helo = connect.verdict === 'continue' ? await session.helo('client.example') : connect;
        const { verdict } = helo.verdict === 'continue' ? await session.message(goodMessage) : helo;
        expectThat(['continue', 'tempfail'], verdict).toContain(verdict);
        if (verdict === 'tempfail') refused++;
        else done++;
      }
    }),
  );
  for (let death = 1; death <= DEATHS; death++) {
    const before = done;
    await until('traffic', () => done > before + 30);
    await using culprit = await open(filter, 'exit.envfrom');
    expect((await culprit.mail('<a@client.example>')).verdict).toBe('tempfail');
    await replaced(filter, 3 + death);
  }
  over = true;
  await lanes;
  expect(filter.count('error')).toBe(DEATHS);
  // A worker had at most as many sessions as there are lanes.
  expectThat(refused, `${refused} refused, ${done} served`).toBeLessThanOrEqual(6 * DEATHS);
  await endsWell(filter);
});

test('a stop under load while workers die', async () => {
  await using filter = await host({ run: { workers: 3, drainTimeout: 500 } });
  let done = 0;
  const lanes = Promise.all(
    Array.from({ length: 6 }, async (_, lane) => {
      try {
        for (let round = 0; ; round++) {
          await using session = await filter.open();
          await session.connect(round % 8 === lane ? 'exit.eom' : 'none.none');
          await session.helo('client.example');
          await session.message(goodMessage);
          done++;
        }
      } catch (error) {
        expect((error as { code?: string }).code).not.toBe('ERR_MILTER_TIMEOUT');
      }
    }),
  );
  await until('traffic', () => done > 60);
  await endsWell(filter);
  await lanes;
});

test('process.exit() of the main thread, with sessions parked in workers', async () => {
  await using filter = await host();
  const sessions = await Promise.all([1, 2, 3, 4].map(() => open(filter, 'park.eom')));
  const outcomes = sessions.map((session) =>
    session.message(goodMessage).then(
      ({ verdict }) => verdict,
      (error: { code?: string }) => error.code,
    ),
  );
  await filter.event('parked', undefined, 4);
  filter.tell({ do: 'exit' });
  expect(await filter.ended()).toStrictEqual({ code: 7, signal: null });
  for (const outcome of await Promise.all(outcomes)) {
    expectThat(['tempfail', 'ERR_MILTER_CLOSED'], outcome).toContain(outcome ?? '');
  }
});

test('the thread that runs the filter is itself a worker: it serves and stops', async () => {
  await using filter = await host({ fixture: '../workers/nested' });
  for (let i = 0; i < 4; i++) {
    await using session = await filter.open();
    expect((await session.connect('none')).verdict).toBe('continue');
    expect((await session.message(goodMessage)).verdict).toBe('continue');
  }
  filter.tell({ do: 'stop' });
  await filter.event('stopped');
  expect((await filter.event('lead exit')).code).toBe(0);
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  expect(existsSync(filter.path)).toBe(false);
});

test('terminate() of the thread that runs the filter ends its workers too', async () => {
  await using filter = await host({ fixture: '../workers/nested' });
  const outcomes: Promise<string>[] = [];
  for (let i = 0; i < 4; i++) {
    const session = await filter.open();
    await session.connect('waits');
    outcomes.push(session.message(goodMessage).then(({ verdict }) => verdict));
  }
  // Each worker has taken its sessions when it answers one that came after them.
  for (let i = 0; i < 2; i++) {
    await using session = await filter.open();
    expect((await session.connect('none')).verdict).toBe('continue');
  }
  filter.tell({ do: 'terminate' });
  await filter.event('lead exit');
  expect(await Promise.all(outcomes)).toStrictEqual(Array(4).fill('tempfail'));
  expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
});
