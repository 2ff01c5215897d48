/**
 * Stopping a filter that is at work: a message that has begun may end within drainTimeout, nothing new begins, and
 * what is not done by then is told to come again. The promises of issue 2, section 7.
 */
import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { errorWith, expectThat } from '../support/expect.js';
import { ANSWERED_HANDLERS } from '../support/handlers.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter } from './support/observed-filter.js';

const STOPPING = { verdict: 'tempfail', reply: { code: '451', xcode: '4.3.2' } };

function assertTempfail(response: { verdict: string; reply?: { code: string } | undefined }): void {
  expect(response.verdict).toBe('tempfail');
  // Without a text of the filter's the MTA takes its own.
  if (response.reply) expect(response.reply.code).toMatch(/^4/);
}

/** A session whose eom handler waits for the test. */
async function parkedMessage(filter: ObservedFilter, steer = 'parkThenModify.eom') {
  const session = await filter.open();
  await greet(session, steer);
  const before = filter.count('parked');
  const result = session.message(goodMessage);
  await filter.event('parked', undefined, before + 1);
  return { session, result };
}

/** Resolves when the filter has begun to stop: a session in no message is told so. */
async function draining(filter: ObservedFilter, idle: MtaSession): Promise<void> {
  void filter;
  for (;;) {
    const mail = await idle.mail('<probe@client.example>');
    if (mail.verdict === 'tempfail') return;
    expect(mail.verdict).toBe('continue');
    await idle.abort();
  }
}

test('control: without a stop the parked message ends with its modification', async () => {
  await using filter = await ObservedFilter.start();
  const { session, result } = await parkedMessage(filter);
  filter.tell({ do: 'release' });
  const { verdict, modifications } = await result;
  expect(verdict).toBe('continue');
  expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Parked', value: 'yes' }]);
  await session.quit();
  await servesWell(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('a message whose end is being handled when the filter stops is finished, with its modification', async () => {
  await using filter = await ObservedFilter.start();
  const idle = await filter.open();
  await greet(idle);
  const { result } = await parkedMessage(filter);
  filter.tell({ do: 'stop' });
  await draining(filter, idle);
  filter.tell({ do: 'release' });
  const { verdict, modifications } = await result;
  expect(verdict).toBe('continue');
  expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Parked', value: 'yes' }]);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('a message between two steps when the filter stops is finished, step by step', async () => {
  await using filter = await ObservedFilter.start();
  const idle = await filter.open();
  await greet(idle);
  const session = await filter.open();
  await greet(session);
  expect((await session.mail('<a@client.example>')).verdict).toBe('continue');
  filter.tell({ do: 'stop' });
  await draining(filter, idle);
  expect((await session.rcpt('<b@example.com>')).verdict).toBe('continue');
  expect((await session.data()).verdict).toBe('continue');
  await session.header('Subject', 'lunch');
  await session.eoh();
  expect((await session.body('At noon.\r\n')).verdict).toBe('continue');
  const { verdict, modifications } = await session.eom();
  expect(verdict).toBe('continue');
  expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('a stop does not wait for a message that is aborted meanwhile', async () => {
  await using filter = await ObservedFilter.start();
  const aborted = await filter.open();
  await greet(aborted);
  await aborted.mail('<a@client.example>');
  const gone = await filter.open();
  await greet(gone);
  await gone.mail('<a@client.example>');
  filter.tell({ do: 'stop' });
  await aborted.abort();
  gone.destroy();
  expect(await filter.ended(9_000)).toStrictEqual(CLEAN_END); // before drainTimeout, 10 s
});

test('while it stops, a new message gets 451 4.3.2 and a new session is refused', async () => {
  await using filter = await ObservedFilter.start();
  const old = await filter.open();
  await greet(old);
  const { result } = await parkedMessage(filter);
  filter.tell({ do: 'stop' });
  await draining(filter, old);
  for (let again = 0; again < 3; again++) {
    const mail = await old.mail('<a@client.example>');
    expect({
      verdict: mail.verdict,
      reply: { code: mail.reply?.code, xcode: mail.reply?.xcode },
    }).toStrictEqual(STOPPING);
  }
  await expect(async () => {
    const session = await filter.open();
    await greet(session);
    await session.message(goodMessage);
  }).rejects.toThrow(errorWith({ code: /^(ERR_MILTER_CLOSED|ECONNREFUSED|ENOENT)$/ }));
  expect(filter.running).toBe(true);
  filter.tell({ do: 'release' });
  expect((await result).verdict).toBe('continue');
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

for (const way of ['stop()', 'SIGTERM', 'SIGINT'] as const) {
  test(`${way}: after drainTimeout, the message of a handler that never settles gets a temporary failure`, async () => {
    await using filter = await ObservedFilter.start({ run: { drainTimeout: 300 }, trace: true });
    const { result } = await parkedMessage(filter, 'park.eom');
    if (way === 'stop()') filter.tell({ do: 'stop' });
    else filter.child.kill(way);
    assertTempfail((await result).response);
    expect(await filter.ended()).toStrictEqual(CLEAN_END);
    expectThat(filter.count('aborted'), filter.state()).toBe(1);
    expect(filter.all('step').filter((told) => told.step === 'close')).toHaveLength(1);
    const [stopped] = filter.all('stopped');
    expect([stopped?.made, stopped?.ended]).toStrictEqual([1, 1]);
    expect(existsSync(filter.path)).toBe(false);
  });
}

for (const step of ANSWERED_HANDLERS) {
  test(`after drainTimeout, a handler that never settles in ${step} gives a temporary failure`, async () => {
    await using filter = await ObservedFilter.start({ run: { drainTimeout: 100, immediate: true } });
    const session = await filter.open();
    const dialogue = (async () => {
      const connect = await session.connect(`park.${step}`);
      if (connect.verdict !== 'continue') return connect;
      const helo = await session.helo('client.example');
      if (helo.verdict !== 'continue') return helo;
      if (step === 'unknown') return await session.unknown('HUH');
      return (await session.message(goodMessage)).response;
    })();
    await filter.event('parked');
    filter.tell({ do: 'stop' });
    assertTempfail(await dialogue);
    expect(await filter.ended()).toStrictEqual(CLEAN_END);
    expect(filter.count('aborted')).toBe(1);
  });
}

test('handlers that never settle in negotiate, abort and close do not delay the stop for ever', async () => {
  await using filter = await ObservedFilter.start({ run: { drainTimeout: 100 } });
  const aborts = await filter.open();
  await greet(aborts, 'never.abort');
  await aborts.mail('<a@client.example>');
  await aborts.abort();
  await filter.event('parked', (told) => told.step === 'abort');
  const closes = await filter.open();
  await greet(closes, 'never.close');
  await closes.quit();
  await filter.event('parked', (told) => told.step === 'close');
  filter.tell({ do: 'negotiation', value: 'never' });
  await filter.event('negotiation');
  const negotiates = expect(filter.open()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
  await filter.event('parked', (told) => told.step === 'negotiate');
  filter.tell({ do: 'stop' });
  await negotiates;
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});

test('many parked messages all get a temporary failure', async () => {
  await using filter = await ObservedFilter.start({ run: { drainTimeout: 200 } });
  const messages: Awaited<ReturnType<typeof parkedMessage>>[] = [];
  // One by one, because in libmilter sessions that become ready at the same instant wait for each other.
  for (let i = 0; i < 50; i++) messages.push(await parkedMessage(filter, 'park.eom'));
  filter.tell({ do: 'stop' });
  for (const { result } of messages) assertTempfail((await result).response);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
  const [stopped] = filter.all('stopped');
  expect([stopped?.made, stopped?.ended]).toStrictEqual([50, 50]);
});

test('stop(milliseconds) takes precedence over drainTimeout', async () => {
  await using filter = await ObservedFilter.start({ run: { drainTimeout: 60_000 } });
  const { result } = await parkedMessage(filter, 'park.eom');
  filter.tell({ do: 'stop', value: 50 });
  assertTempfail((await result).response);
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
});
