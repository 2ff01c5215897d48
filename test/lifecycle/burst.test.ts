/**
 * Many sessions that become ready at the same instant, with handlers that wait: every handler is called before any has
 * answered. libmilter's own pool would serve them with a few threads, one after the other;
 * native/libmilter/pool_starvation_watchdog.h provides threads for the rest.
 */
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter, type StartOptions } from './support/observed-filter.js';

const SESSIONS = 60;
/** The time limit until all of them have been called. */
const SOON = 15_000;

/** Waits until `count` more handlers wait than before. */
async function allCalled(filter: ObservedFilter, before: number, count = SESSIONS): Promise<void> {
  await until(
    `${count} handlers called while none has answered`,
    () => filter.count('parked') - before >= count,
    SOON,
    () => `only ${filter.count('parked') - before} of them ${filter.state()}`,
  );
}

/** Starts a step in every session in one turn of the event loop; opens the gate when all handlers wait. */
async function burst<T>(
  filter: ObservedFilter,
  sessions: readonly MtaSession[],
  act: (mta: MtaSession) => Promise<T>,
) {
  const before = filter.count('parked');
  let answered = 0;
  const acts = sessions.map((session) =>
    act(session).then((value) => {
      answered++;
      return value;
    }),
  );
  const results = Promise.all(acts);
  results.catch(() => {}); // told below
  await allCalled(filter, before, sessions.length);
  expect(answered).toBe(0);
  filter.tell({ do: 'release' });
  return await results;
}

async function opened(filter: ObservedFilter): Promise<MtaSession[]> {
  return await Promise.all(Array.from({ length: SESSIONS }, () => filter.open()));
}

async function countsAre(filter: ObservedFilter, sessions: number): Promise<void> {
  let found = { made: 0, ended: 0 };
  await until(
    `${sessions} contexts made and ended, none by the watchdog's connections`,
    async () => {
      found = await filter.diag();
      return found.made === sessions && found.ended === sessions;
    },
    SOON,
    () => JSON.stringify(found),
  );
}

async function endsClean(filter: ObservedFilter, sessions: readonly MtaSession[]): Promise<void> {
  await Promise.all(sessions.map((session) => session.quit()));
  await countsAre(filter, sessions.length);
  await servesWell(filter);
  expectThat(filter.count('error'), filter.state()).toBe(0);
  expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
}

async function message(session: MtaSession): Promise<void> {
  const { verdict, modifications } = await session.message(goodMessage);
  expect(verdict).toBe('continue');
  expect(modifications).toHaveLength(1);
}

/** Without handlerTimeout, which must not answer in place of the handlers. */
const started = (options: StartOptions = {}) =>
  ObservedFilter.start({ ...options, run: { handlerTimeout: 0 } });

test(`control: ${SESSIONS} simultaneous sessions whose handlers answer immediately`, async () => {
  await using filter = await started();
  const sessions = await opened(filter);
  await Promise.all(sessions.map((session) => greet(session).then(() => message(session))));
  await endsClean(filter, sessions);
});

test('connect in open sessions', async () => {
  await using filter = await started();
  const sessions = await opened(filter);
  await burst(filter, sessions, (session) => greet(session, 'park.connect'));
  await Promise.all(sessions.map(message));
  await endsClean(filter, sessions);
});

test('opening, negotiation and connect at the same instant', async () => {
  await using filter = await started();
  const before = filter.count('parked');
  const opening = Array.from({ length: SESSIONS }, async () => {
    const session = await filter.open();
    await greet(session, 'park.connect');
    return session;
  });
  const all = Promise.all(opening);
  all.catch(() => {});
  await allCalled(filter, before);
  filter.tell({ do: 'release' });
  await endsClean(filter, await all);
});

test('negotiate', async () => {
  await using filter = await started();
  filter.tell({ do: 'negotiation', value: 'park' });
  await filter.event('negotiation');
  const opening = Promise.all(Array.from({ length: SESSIONS }, () => filter.open()));
  opening.catch(() => {});
  await allCalled(filter, 0);
  filter.tell({ do: 'negotiation', value: '' });
  await filter.event('negotiation', undefined, 2);
  filter.tell({ do: 'release' });
  const sessions = await opening;
  // CONTINUE with an unchanged offer accepts all of it, including NOCONNECT.
  for (const session of sessions) expect((await session.connect('none.none')).verdict).toBe('skipped');
  await endsClean(filter, sessions);
});

for (const step of ['envfrom', 'header', 'eom'] as const) {
  test(`${step}, in three waves of the same sessions`, async () => {
    await using filter = await started();
    const sessions = await opened(filter);
    await Promise.all(sessions.map((session) => greet(session, `park.${step}`)));
    for (let wave = 1; wave <= 3; wave++) {
      const parks = step === 'header' ? goodMessage.headers?.slice(0, 1) : goodMessage.headers;
      await burst(filter, sessions, (session) =>
        session.message({ ...goodMessage, ...(parks && { headers: parks }) }).then(({ verdict }) => {
          expect(verdict).toBe('continue');
        }),
      );
    }
    await endsClean(filter, sessions);
  });
}

test('over a TCP port', async () => {
  // The watchdog connects to the filter's own socket.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await using filter = await started({ socket: `inet:${port}@127.0.0.1` });
  const sessions = await opened(filter);
  await Promise.all(sessions.map((session) => greet(session, 'park.envfrom')));
  await burst(filter, sessions, message);
  await endsClean(filter, sessions);
});

test('a second burst while handlers of the first one still wait', async () => {
  await using filter = await started();
  const first = await opened(filter);
  await Promise.all(first.map((session) => greet(session, 'park.eom')));
  const waiting = Promise.all(first.map((session) => session.message(goodMessage)));
  waiting.catch(() => {});
  await allCalled(filter, 0);
  const second = await opened(filter);
  await Promise.all(second.map((session) => greet(session, 'park.eom')));
  await burst(filter, second, (session) => session.message(goodMessage));
  for (const { verdict } of await waiting) expect(verdict).toBe('continue');
  await endsClean(filter, [...first, ...second]);
});

test('other sessions are served while a burst waits', async () => {
  await using filter = await started();
  const sessions = await opened(filter);
  await Promise.all(sessions.map((session) => greet(session, 'parkThenModify.eom')));
  const waiting = Promise.all(sessions.map(message));
  waiting.catch(() => {});
  await allCalled(filter, 0);
  for (let i = 0; i < 10; i++) await servesWell(filter);
  filter.tell({ do: 'release' });
  await waiting;
  await Promise.all(sessions.map((session) => session.quit()));
  await countsAre(filter, SESSIONS + 10);
  expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
});
