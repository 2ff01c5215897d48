/**
 * Handlers that take longer than handlerTimeout: in every step the exception policy answers, `signal` is aborted with
 * the reason, a late answer is reported, and the session's next message is normal. If the JS thread itself is blocked,
 * libmilter's thread answers. R5 and R6 of native/README.md.
 */
import { writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ACCEPT, CONTINUE, REJECT, TEMPFAIL } from 'tsmilter';
import type { MtaSession, Response } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter, type StartOptions } from './support/observed-filter.js';

const TIMEOUT = 150;
/** Milliseconds after handlerTimeout until libmilter's thread answers for a blocked JS thread (lib/runtime/runtime.ts). */
const GRACE = 1_000;

const STEPS = [
  'connect',
  'hello',
  'unknown',
  'envfrom',
  'envrcpt',
  'data',
  'header',
  'eoh',
  'body',
  'eom',
] as const;
type Step = (typeof STEPS)[number];
const IN_MESSAGE: readonly Step[] = STEPS.slice(3);

/** A step's name in the error hook. */
const reported = (step: string) => (step === 'hello' ? 'helo' : step);

const late = (options: StartOptions = {}) =>
  ObservedFilter.start({ fixture: 'late', ...options, run: { handlerTimeout: TIMEOUT, ...options.run } });

/** Sends steps until the handler of `step` has been answered. */
async function reach(session: MtaSession, how: string, step: Step): Promise<Response> {
  const connect = await session.connect(`${how}.${step}`);
  if (step === 'connect') return connect;
  const helo = await session.helo('client.example');
  if (step === 'hello') return helo;
  if (step === 'unknown') return await session.unknown('HUH');
  const { response } = await session.message(goodMessage);
  return response;
}

async function nextMessageIsFine(session: MtaSession, how: string, step: string, filter: ObservedFilter) {
  const { verdict, modifications } = await session.message(goodMessage);
  expectThat(verdict, `the next message after ${how}.${step}`).toBe('continue');
  expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
  await filter.event('afterwards', (told) => told.of === step && told.how === how && told.step === 'eom');
  // In close it is aborted because the session has ended.
  const handlers = filter.all('afterwards').filter((told) => told.step !== 'close');
  for (const told of handlers) expectThat(told.aborted, JSON.stringify(told)).toBe(false);
}

const errorsIn = (filter: ObservedFilter, step: string) =>
  filter
    .all('error')
    .filter((told) => told.step === reported(step))
    .map(({ code }) => code);

interface Policy {
  readonly policy: number;
  readonly verdict: Response['verdict'];
  readonly text?: string;
}

const POLICIES: Readonly<Record<string, Policy>> = {
  TEMPFAIL: { policy: TEMPFAIL, verdict: 'tempfail', text: '451 4.3.0 late: untrapped exception' },
  REJECT: { policy: REJECT, verdict: 'reject', text: '554 5.3.0 late: untrapped exception' },
  ACCEPT: { policy: ACCEPT, verdict: 'accept' },
  CONTINUE: { policy: CONTINUE, verdict: 'continue' },
};

function assertPolicy(response: Response, { verdict, text }: Policy, what: string): void {
  const reply = 'reply' in response ? response.reply : undefined;
  // ACCEPT has no meaning for a command, and Postfix would fail in the session's next message.
  const meant = what === 'unknown' && verdict === 'accept' ? 'continue' : verdict;
  expectThat([response.verdict, reply?.text], what).toStrictEqual([meant, text]);
}

/** One late handler in each step, at the same time, each in a session of its own. */
async function lateInEveryStep(filter: ObservedFilter, how: string, policy: Policy): Promise<void> {
  const lateStep = async (step: Step) => {
    const session = await filter.open();
    const response = await reach(session, how, step);
    assertPolicy(response, policy, step);
    const aborted = await filter.event('aborted', (told) => told.step === step);
    expect(aborted.code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
    expect(aborted.message).toBe(`${reported(step)} did not answer within ${TIMEOUT} ms (handlerTimeout)`);
    const timedOut = await filter.event('error', (told) => told.step === reported(step));
    expect([timedOut.code, timedOut.message]).toStrictEqual([aborted.code, aborted.message]);
    expectThat(errorsIn(filter, step), 'nothing is late before it is said').toStrictEqual([
      'ERR_MILTER_HANDLER_TIMEOUT',
    ]);
    filter.tell({ do: 'open', value: step });
    await filter.event('error', (told) => told.step === reported(step) && told.code !== timedOut.code);
    expect(errorsIn(filter, step)).toStrictEqual(['ERR_MILTER_HANDLER_TIMEOUT', 'ERR_MILTER_LATE_ANSWER']);
    // After connect or helo was accepted or refused, an MTA sends nothing more.
    if (IN_MESSAGE.includes(step) || response.verdict === 'continue') {
      await nextMessageIsFine(session, how, step, filter);
    }
    await session.quit();
  };
  await Promise.all(STEPS.map(lateStep));
}

for (const immediate of [false, true]) {
  for (const how of ['resolves', 'rejects']) {
    for (const [name, policy] of Object.entries(POLICIES)) {
      const mode = immediate ? 'immediate' : 'deferred';
      test(`every step, ${how} too late, policy ${name}, ${mode}`, async () => {
        await using filter = await late({ run: { immediate }, policy: policy.policy });
        await lateInEveryStep(filter, how, policy);
        await servesWell(filter);
        expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
      });
    }
  }
}

test('control: handlers that answer in time; their answers count, nothing is reported', async () => {
  await using filter = await late({ run: { handlerTimeout: 20_000 } });
  const inTime = async (step: Step) => {
    const session = await filter.open();
    const answer = reach(session, 'resolves', step);
    await filter.event('called', (told) => told.step === step);
    filter.tell({ do: 'open', value: step });
    // As above: ACCEPT has no meaning for a command.
    expectThat((await answer).verdict, step).toBe(step === 'unknown' ? 'continue' : 'accept');
    await session.quit();
  };
  await Promise.all(STEPS.map(inTime));
  // The end of the session aborts the signal.
  for (const { code } of filter.all('aborted')) expect(code).toBe('ERR_MILTER_BAD_CONTEXT');
  expectThat(filter.count('error'), filter.state()).toBe(0);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('a late abort handler delays the next message by handlerTimeout at most', async () => {
  await using filter = await late();
  const session = await filter.open();
  await session.connect('resolves.abort');
  await session.helo('client.example');
  expect((await session.mail('<a@client.example>')).verdict).toBe('continue');
  await session.abort();
  await nextMessageIsFine(session, 'resolves', 'abort', filter);
  expect(errorsIn(filter, 'abort')).toStrictEqual(['ERR_MILTER_HANDLER_TIMEOUT']);
  filter.tell({ do: 'open', value: 'abort' });
  await filter.event('error', (told) => told.code === 'ERR_MILTER_LATE_ANSWER');
  await session.quit();
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('a late close handler delays no other session; its context ends when the handler does', async () => {
  await using filter = await late();
  const session = await filter.open();
  await greet(session, 'resolves.close');
  await session.quit();
  await filter.event('called', (told) => told.step === 'close');
  await servesWell(filter);
  await until('the good session’s end', async () => (await filter.diag()).ended === 1);
  filter.tell({ do: 'open', value: 'close' });
  await until('the late session’s end', async () => (await filter.diag()).ended === 2);
  expectThat(filter.count('error'), filter.state()).toBe(0);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('control: a thread that is blocked for less than handlerTimeout; the handler’s answer counts', async () => {
  await using filter = await late({ run: { handlerTimeout: 20_000 } });
  const session = await filter.open();
  const answer = reach(session, 'sticks', 'eom');
  writeFileSync(String((await filter.event('stuck')).file), '');
  expect((await answer).verdict).toBe('accept');
  expectThat(filter.count('error'), filter.state()).toBe(0);
  await session.quit();
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

for (const how of ['sticks', 'sticksThenAwaits']) {
  for (const [name, policy] of Object.entries(POLICIES)) {
    // After CONTINUE the MTA sends the next step, for which the thread is blocked too: the last step is enough.
    const steps: Step[] =
      policy.policy === CONTINUE ? ['hello', 'eom'] : ['hello', 'envfrom', 'header', 'eom'];
    test(`a stuck thread (${how}): libmilter’s thread answers by the policy ${name}`, async () => {
      await using filter = await late({ policy: policy.policy });
      for (const [i, step] of steps.entries()) {
        const session = await filter.open();
        const asked = performance.now();
        const answer = reach(session, how, step);
        const { file } = await filter.event('stuck', undefined, i + 1);
        // The thread is not released before the answer has come.
        const response = await answer;
        const took = performance.now() - asked;
        assertPolicy(response, policy, step);
        expectThat(took, `answered after ${took.toFixed()} ms already`).toBeGreaterThan(TIMEOUT + GRACE - 50);
        expectThat(errorsIn(filter, step), 'the thread is stuck still').toHaveLength(0);
        writeFileSync(String(file), '');
        const aborted = await filter.event('aborted', (told) => told.step === step);
        expect(aborted.code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
        const told = await filter.event('error', ({ step: where }) => where === 'a session', i + 1);
        expect([told.code, told.message]).toStrictEqual([
          'ERR_MILTER_HANDLER_TIMEOUT',
          'the JS thread did not answer in time',
        ]);
        await filter.event('error', ({ code }) => code === 'ERR_MILTER_LATE_ANSWER', i + 1);
        if (IN_MESSAGE.includes(step) || response.verdict === 'continue') {
          await nextMessageIsFine(session, how, step, filter);
        }
        await session.quit();
        expectThat(filter.count('error'), filter.state()).toBe(2 * (i + 1));
      }
      await servesWell(filter);
      expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
    });
  }
}

test('while the JS thread is blocked, all sessions get answers, a new one too, and all work afterwards', async () => {
  await using filter = await late();
  const sessions = await Promise.all(Array.from({ length: 12 }, () => filter.open()));
  await Promise.all(sessions.map((session, i) => greet(session, i === 0 ? 'sticks.envfrom' : 'none.none')));
  const [sticking, ...others] = sessions as [MtaSession, ...MtaSession[]];
  const stuck = sticking.message(goodMessage);
  const { file } = await filter.event('stuck');
  const messages = [stuck, ...others.map((session) => session.message(goodMessage))];
  const newcomer = filter.open();
  for (const { verdict, response } of await Promise.all(messages)) {
    expect(verdict).toBe('tempfail');
    assertPolicy(response, POLICIES.TEMPFAIL as Policy, 'a message meanwhile');
  }
  const fresh = await newcomer; // negotiated without the filter
  expectThat(filter.count('error'), 'the thread is stuck still').toBe(0);
  writeFileSync(String(file), '');
  await Promise.all(
    sessions.map(async (session) => {
      const { verdict, modifications } = await session.message(goodMessage);
      expect(verdict).toBe('continue');
      expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
      await session.quit();
    }),
  );
  await greet(fresh);
  expect((await fresh.message(goodMessage)).verdict).toBe('continue');
  await fresh.quit();
  await servesWell(filter);
  await until('as many contexts ended as were made', async () => {
    const { made, ended } = await filter.diag();
    return made === ended && made === 14;
  });
  expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
});
