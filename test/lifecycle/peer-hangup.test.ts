/**
 * The MTA hangs up at every point of a session: handlers get abort once, and only within a message, every object gets close as
 * its last call, and the filter continues. Contract line 4.
 */
import { afterAll, expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { within } from '../../tools/wait.js';
import { account, allClosed, frame, RawPeer, recordingFilter, upTo } from '../fixtures/lifecycle/raw-peer.js';
import { errorWith, expectThat } from '../support/expect.js';
import { inLanes } from '../support/in-lanes.js';
import { servesWell } from './support/messages.js';
import { CLEAN_END, type ObservedFilter } from './support/observed-filter.js';

/** The steps of a session, and the handlers' calls after each. */
const DIALOGUE: readonly [step: string, send: (session: MtaSession, steer: string) => Promise<unknown>][] = [
  ['negotiate', (session) => session.negotiate()],
  ['connect', (session, steer) => session.connect(steer)],
  ['hello', (session) => session.helo('client.example')],
  ['unknown', (session) => session.unknown('HUH')],
  ['envfrom', (session) => session.mail('<a@client.example>')],
  ['envrcpt', (session) => session.rcpt('<b@example.com>')],
  ['data', (session) => session.data()],
  ['header', (session) => session.header('Subject', 'lunch')],
  ['header', (session) => session.header('From', 'a@client.example')],
  ['eoh', (session) => session.eoh()],
  ['body', (session) => session.body('At noon.\r\n')],
  ['body', (session) => session.body('Or at one.\r\n')],
  ['eom', (session) => session.eom()],
];
const STEPS = DIALOGUE.map(([step]) => step);
const IN_MESSAGE = STEPS.indexOf('envfrom');
const END_OF_MESSAGE = STEPS.indexOf('eom');

/** The calls of an object whose MTA hangs up after `done` steps. */
function expected(done: number): string[] {
  const steps = STEPS.slice(0, done);
  const open = done > IN_MESSAGE && done <= END_OF_MESSAGE;
  return [...steps, ...(open ? ['abort'] : []), 'close'];
}

/** One process for each mode; a new one if the last was killed. */
const shared = new Map<boolean, ObservedFilter>();
async function sharedFilter(immediate: boolean): Promise<ObservedFilter> {
  const old = shared.get(immediate);
  if (old?.running) return old;
  const filter = await recordingFilter({ run: { immediate }, more: { keep: true } });
  shared.set(immediate, filter);
  return filter;
}

afterAll(async () => {
  for (const filter of shared.values()) await filter[Symbol.asyncDispose]();
});

/** Forgets the objects so far; call it when all of them have ended. */
async function forget(filter: ObservedFilter): Promise<void> {
  const before = filter.count('forgotten');
  filter.tell({ do: 'forget' });
  await filter.event('forgotten', undefined, before + 1);
}

/** The calls of every object since the last `forget`, after all have ended. */
async function histories(filter: ObservedFilter): Promise<string[][]> {
  const { histories: found } = await allClosed(filter);
  await forget(filter);
  return found as string[][];
}

/** Opens a session and sends `count` steps, each answered. */
async function goThrough(filter: ObservedFilter, count: number, steer = 'none.none'): Promise<MtaSession> {
  const session = await filter.open({ negotiate: false });
  for (const [, send] of DIALOGUE.slice(0, count)) await send(session, steer);
  return session;
}

/** Waits until steps without a reply have been written, which happens at the end of the event loop's turn. */
const leaves = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

for (const immediate of [false, true]) {
  const mode = immediate ? 'immediate' : 'deferred';

  test(`control (${mode}): a dialogue that is ended by QUIT`, async () => {
    const filter = await sharedFilter(immediate);
    const session = await goThrough(filter, STEPS.length);
    await session.quit();
    expect(await histories(filter)).toStrictEqual([expected(STEPS.length)]);
  });

  test(`${mode}: the MTA connects and closes the connection: no object, no close`, async () => {
    const filter = await sharedFilter(immediate);
    for (let i = 0; i < 20; i++) (await filter.open({ negotiate: false })).destroy();
    await servesWell(filter); // accepted after them
    const [only, ...others] = await histories(filter);
    expect(only?.at(-1)).toBe('close');
    expect(others).toStrictEqual([]);
  });

  for (let count = 1; count <= STEPS.length; count++) {
    const name = `${STEPS[count - 1]} (${count})`;

    test(`${mode}: the MTA hangs up after ${name}`, async () => {
      const filter = await sharedFilter(immediate);
      const session = await goThrough(filter, count);
      await leaves();
      session.destroy();
      // A step without reply may still be in the socket when libmilter sees the end, and is then not read.
      const [seen = [], ...others] = await histories(filter);
      expect(others).toStrictEqual([]);
      const done = seen.filter((step) => step !== 'abort' && step !== 'close').length;
      expect(seen).toStrictEqual(expected(done));
      const silent = !immediate && ['header', 'eoh'].includes(STEPS[count - 1] as string);
      if (silent) expectThat(done, seen.join(' ')).toBeGreaterThanOrEqual(STEPS.indexOf('header'));
      else expect(done).toBe(count);
      await servesWell(filter);
      await histories(filter);
    });

    test(`${mode}: the MTA hangs up when it has sent ${name}, without waiting`, async () => {
      const filter = await sharedFilter(immediate);
      for (let round = 0; round < 5; round++) {
        const session = await goThrough(filter, count - 1);
        const [, send] = DIALOGUE[count - 1] as (typeof DIALOGUE)[number];
        send(session, 'none.none').catch(() => {});
        await leaves();
        session.destroy();
      }
      await servesWell(filter);
      const seen = await histories(filter);
      // The session that was served well is not always the last: a thread may find a connection later than its end.
      const served = seen.filter((one) => one.includes('eom') && !one.includes('unknown'));
      expectThat(served.length, JSON.stringify(seen)).toBe(1);
      for (const one of seen.filter((each) => each !== served[0])) {
        const done = one.filter((step) => step !== 'abort' && step !== 'close').length;
        expect(one).toStrictEqual(expected(done));
        expectThat(done, one.join(' ')).toBeLessThanOrEqual(count);
      }
      expect(seen.length).toBeLessThanOrEqual(6);
    });
  }

  // Deferred handlers run with the end of the message.
  for (const step of new Set(STEPS.slice(1))) {
    test(`${mode}: the MTA hangs up while the handler of ${step} is parked`, async () => {
      const filter = await sharedFilter(immediate);
      const parked = filter.count('parked');
      const session = await filter.open({ negotiate: false });
      const dialogue = (async () => {
        for (const [, send] of DIALOGUE) await send(session, `park.${step}`);
      })();
      const ends = expect(dialogue).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
      await filter.event('parked', undefined, parked + 1);
      session.destroy();
      await ends;
      await servesWell(filter);
      filter.tell({ do: 'release' });
      // In a batch, a step that comes twice parks twice, because the end is not noticed in between.
      if (!immediate && ['header', 'body'].includes(step)) {
        await filter.event('parked', undefined, parked + 2);
        filter.tell({ do: 'release' });
      }
      const [seen] = await histories(filter);
      const deferred = !immediate && ['header', 'eoh', 'body'].includes(step);
      expect(seen).toStrictEqual(expected(deferred ? STEPS.length : STEPS.indexOf(step) + 1));
    });
  }

  for (const step of ['abort', 'close']) {
    test(`${mode}: the MTA hangs up while the handler of ${step} is parked`, async () => {
      const filter = await sharedFilter(immediate);
      const parked = filter.count('parked');
      const session = await goThrough(filter, STEPS.indexOf('data') + 1, `park.${step}`);
      await session.abort();
      if (step === 'close') session.quit().catch(() => {});
      await filter.event('parked', undefined, parked + 1);
      session.destroy();
      await servesWell(filter);
      filter.tell({ do: 'release' });
      const [seen] = await histories(filter);
      expect(seen).toStrictEqual([...STEPS.slice(0, STEPS.indexOf('data') + 1), 'abort', 'close']);
    });
  }

  test(`${mode}: the MTA hangs up inside a body of several chunks, also in the middle of one`, async () => {
    const filter = await sharedFilter(immediate);
    for (const chunks of [1, 3, 10]) {
      for (const torn of [false, true]) {
        const session = await goThrough(filter, STEPS.indexOf('eoh') + 1);
        for (let i = 0; i < chunks; i++) await session.body(Buffer.alloc(50_000, 'x'));
        if (torn) await session.sendRaw(frame('B', 'half', 40_000));
        session.destroy();
        const [seen] = await histories(filter);
        const bodies = Array.from({ length: chunks }, () => 'body');
        expect(seen).toStrictEqual([...STEPS.slice(0, STEPS.indexOf('body')), ...bodies, 'abort', 'close']);
      }
    }
    await servesWell(filter);
    await histories(filter);
  });

  test(`${mode}: an MTA that closes only its sending side still gets its reply`, async () => {
    const filter = await sharedFilter(immediate);
    const parked = filter.count('parked');
    await using peer = await RawPeer.dial(filter.socket);
    peer.send(upTo('eom', 'park.eom'));
    await filter.event('parked', undefined, parked + 1);
    peer.endSending();
    filter.tell({ do: 'release' });
    expect(await peer.rest()).toMatch(/^O[ca]+c$/);
    const [seen] = await histories(filter);
    expect(seen?.slice(-2)).toStrictEqual(['eom', 'close']);
  });

  test(`${mode}: after the verdict on a message there is no abort when the MTA hangs up`, async () => {
    const filter = await sharedFilter(immediate);
    const session = await filter.open();
    await session.connect('throws.header');
    await session.helo('client.example');
    await session.mail('<a@client.example>');
    await session.rcpt('<b@example.com>');
    await session.data();
    if (immediate) {
      expect((await session.header('Subject', 'lunch')).verdict).toBe('tempfail');
    } else {
      // A full batch is handed over, so the failed header ends the message long before the MTA gets a reply.
      await session.header('Subject', 'lunch');
      await session.eoh();
      for (let i = 0; i < 8; i++) await session.body(Buffer.alloc(60_000, 'x'));
      await filter.event('error', (told) => told.step === 'header');
    }
    session.destroy();
    const [seen] = await histories(filter);
    expect(seen).toStrictEqual([
      ...['negotiate', 'connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'close'],
    ]);
    await servesWell(filter);
    await histories(filter);
  });

  test(`the filter of these tests (${mode}) has closed every object and stops with exit code 0`, async () => {
    const filter = await sharedFilter(immediate);
    await inLanes(4, Array(50).keys(), () => servesWell(filter));
    const { objects, closed, wrong } = await allClosed(filter);
    expect(objects).toBe(closed);
    expect(wrong).toStrictEqual([]);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });
}

for (const [what, steer] of [
  ['between two steps', 'none.none'],
  ['while its eom handler is parked', 'park.eom'],
] as const) {
  test(`a stop does not wait for an MTA that hangs up during the drain, ${what}`, async () => {
    await using filter = await recordingFilter({ more: { keep: true } }); // drainTimeout is 10 s
    const parks = steer !== 'none.none';
    const session = await goThrough(filter, END_OF_MESSAGE, steer);
    if (parks) {
      session.eom().catch(() => {});
      await filter.event('parked');
    }
    const probe = await filter.open();
    await probe.connect('none.none');
    filter.child.kill('SIGTERM');
    const draining = async () => {
      while ((await probe.mail('<probe@client.example>')).verdict === 'continue') await probe.abort();
    };
    await within('the refusal of a new message', draining());
    session.destroy();
    if (parks) filter.tell({ do: 'release' });
    expect(await filter.ended(3_000)).toStrictEqual(CLEAN_END);
    const [stopped] = filter.all('stopped');
    expectThat([stopped?.made, stopped?.ended, stopped?.closed], filter.state()).toStrictEqual([2, 2, 2]);
    expect(stopped?.wrong).toStrictEqual([]);
    const [seen] = (stopped?.histories ?? []) as string[][];
    expect(seen).toStrictEqual(expected(parks ? STEPS.length : END_OF_MESSAGE));
  });
}

test('an object whose MTA hangs up while negotiate is parked is closed', async () => {
  await using filter = await recordingFilter({ more: { keep: true, parksNegotiation: true } });
  const opening = await RawPeer.dial(filter.socket);
  opening.send(upTo('negotiate'));
  await filter.event('parked', (told) => told.step === 'negotiate');
  opening.destroy();
  filter.tell({ do: 'release' });
  const { histories: seen } = await allClosed(filter);
  expect(seen).toStrictEqual([['negotiate', 'close']]);
  expect((await account(filter)).made).toBe(1);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});
