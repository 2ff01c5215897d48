/**
 * `uncaughtErrors: 'report'`: a promise that a handler forgot and a timer that throws reach the error hook, and everything goes
 * on, in the main thread and in workers. Without the option the process or the worker ends: process-end.test.ts and
 * workers-failures.test.ts.
 */
import { expect, test } from '@jest/globals';
import { expectThat } from '../support/expect.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, ObservedFilter } from './support/observed-filter.js';

const run = { uncaughtErrors: 'report', handlerTimeout: 500 } as const;

test('a handler forgets a promise: its own answer counts, the error is reported, and the session goes on', async () => {
  await using filter = await ObservedFilter.start({ run });
  const session = await filter.open();
  await greet(session, 'forgetsPromise.eom');
  expect((await session.message(goodMessage)).verdict).toBe('continue');
  expect(await filter.event('error')).toMatchObject({
    step: 'unhandledRejection',
    message: 'nobody awaits this',
  });
  expect((await session.message(goodMessage)).verdict).toBe('continue');
  await servesWell(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('a timer throws before it resolves the promise of a handler: the exception policy answers at its timeout', async () => {
  await using filter = await ObservedFilter.start({ run });
  const parked = await filter.open();
  await greet(parked, 'none.none');
  const session = await filter.open();
  await greet(session, 'timerThrows.eom');
  const { verdict, response } = await session.message(goodMessage);
  expect([verdict, response.reply?.code]).toStrictEqual(['tempfail', '451']);
  const errors = filter.all('error');
  expect(errors.map(({ step }) => step)).toStrictEqual(['uncaughtException', 'eom']);
  expect(errors[1]?.code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
  expect((await parked.message(goodMessage)).verdict).toBe('continue');
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('in workers: the error goes to the hook of the worker, which goes on', async () => {
  await using filter = await ObservedFilter.start({
    fixture: '../workers/host',
    run,
    more: { mode: 'hook' },
  });
  const session = await filter.open();
  await greet(session, 'forget.eom');
  expect((await session.message(goodMessage)).verdict).toBe('continue');
  expect((await filter.event('worker hook')).message).toBe('nobody awaits this');
  const stuck = await filter.open();
  await greet(stuck, 'throw.eom');
  expect((await stuck.message(goodMessage)).verdict).toBe('reject'); // the policy of this module
  await filter.event('worker hook', ({ message }) => message === 'nobody catches this');
  expect((await session.message(goodMessage)).verdict).toBe('continue');
  expectThat(filter.all('worker exit'), filter.state()).toStrictEqual([]);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('an error while the module of a worker is loaded fails the start as ever', async () => {
  await using filter = await ObservedFilter.start({
    fixture: '../workers/host',
    run,
    more: { mode: 'reject' },
    listening: false,
  });
  expect(await filter.event('refused')).toMatchObject({ code: 'ERR_MILTER_WORKER' });
});
