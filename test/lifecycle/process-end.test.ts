/**
 * A process that ends while libmilter's threads are at work: process.exit() inside handlers, an uncaught exception, the end of
 * the main script. The MTA gets a temporary failure or the end of the connection, the exit code is the given one, and the
 * process does not crash.
 */
import { expect, test } from '@jest/globals';
import type { MtaSession, Response } from 'tsmilter/testing';
import { errorWith, expectThat } from '../support/expect.js';
import { STEP_HANDLERS } from '../support/handlers.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, type End, ObservedFilter } from './support/observed-filter.js';

const EXITED: End = { code: 7, signal: null };

/** A session that reaches every handler; resolves to what ended it. */
async function dialogue(session: MtaSession, steer: string): Promise<'tempfail' | 'eof' | 'complete'> {
  const failed = ({ verdict }: Response) => verdict === 'tempfail';
  try {
    if (failed(await session.connect(steer))) return 'tempfail';
    if (failed(await session.helo('client.example'))) return 'tempfail';
    if (failed(await session.unknown('HUH'))) return 'tempfail';
    if (failed(await session.mail('<a@client.example>'))) return 'tempfail';
    await session.abort();
    if (failed((await session.message(goodMessage)).response)) return 'tempfail';
    await session.quit();
    return 'complete';
  } catch (error) {
    expect((error as { code?: string }).code).toBe('ERR_MILTER_CLOSED');
    return 'eof';
  }
}

test('control: the same dialogue with a filter that does not exit is complete', async () => {
  await using filter = await ObservedFilter.start();
  expect(await dialogue(await filter.open(), 'none.none')).toBe('complete');
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

for (const [behaviour, steps] of [
  ['exits', STEP_HANDLERS],
  ['exitsLater', ['connect', 'body', 'eom', 'close']],
] as const) {
  for (const step of steps) {
    test(`${behaviour}: process.exit(7) in ${step}`, async () => {
      await using filter = await ObservedFilter.start();
      const bystander = await filter.open();
      await greet(bystander, 'park.eom');
      const parked = bystander.message(goodMessage).then(
        ({ verdict }) => verdict as string,
        (error: { code?: string }) => error.code,
      );
      await filter.event('parked');
      const outcome = await dialogue(await filter.open(), `${behaviour}.${step}`);
      if (step === 'close' || step === 'abort') expect(['complete', 'eof', 'tempfail']).toContain(outcome);
      else expect(outcome).not.toBe('complete');
      expectThat(await filter.ended(), filter.state()).toStrictEqual(EXITED);
      const other = await parked;
      expectThat(other === 'tempfail' || other === 'ERR_MILTER_CLOSED', String(other)).toBe(true);
    });
  }
}

test('process.exit(7) in negotiate', async () => {
  await using filter = await ObservedFilter.start();
  filter.tell({ do: 'negotiation', value: 'exits' });
  await filter.event('negotiation');
  await expect(filter.open()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
  expect(await filter.ended()).toStrictEqual(EXITED);
});

test('process.exit() after a modification was requested', async () => {
  await using filter = await ObservedFilter.start();
  expect(await dialogue(await filter.open(), 'exitsWithModifications.eom')).not.toBe('complete');
  expect(await filter.ended()).toStrictEqual(EXITED);
});

for (const [what, command, end] of [
  ['process.exit() in a timer', 'exit in a timer', EXITED],
  ['an uncaught exception in a timer', 'throw in a timer', { code: 1, signal: null }],
] as const) {
  test(`${what}, with many parked sessions and traffic`, async () => {
    await using filter = await ObservedFilter.start();
    const results: Promise<string | undefined>[] = [];
    const send = async (steer: string) => {
      const session = await filter.open();
      await greet(session, steer);
      results.push(
        session.message(goodMessage).then(
          ({ verdict }) => verdict,
          (error: { code?: string }) => error.code,
        ),
      );
    };
    // One by one, because in libmilter sessions that become ready at the same instant wait for each other.
    for (let parked = 1; parked <= 20; parked++) {
      await send('park.eom');
      await filter.event('parked', undefined, parked);
    }
    await Promise.all(Array.from({ length: 10 }, () => send('takesAMoment.eom')));
    filter.tell({ do: command });
    expectThat(await filter.ended(), filter.state()).toStrictEqual(end);
    for (const result of await Promise.all(results)) {
      expectThat(['continue', 'tempfail', 'ERR_MILTER_CLOSED'], String(result)).toContain(result ?? '');
    }
  });
}

test('an uncaught exception that the application handles does not end the filter', async () => {
  await using filter = await ObservedFilter.start({ more: { handleUncaught: true } });
  const session = await filter.open();
  await greet(session, 'park.eom');
  const result = session.message(goodMessage);
  await filter.event('parked');
  filter.tell({ do: 'throw in a timer' });
  await filter.event('uncaught');
  filter.tell({ do: 'release' });
  expect((await result).verdict).toBe('continue');
  await servesWell(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('process.exit() at many different moments of the traffic', async () => {
  for (let round = 0; round < 6; round++) {
    await using filter = await ObservedFilter.start();
    let done = 0;
    const traffic = Promise.all(
      Array.from({ length: 6 }, async () => {
        for (;;) {
          const outcome = await filter.open().then(
            (session) => dialogue(session, 'takesAMoment.eom'),
            () => 'gone',
          );
          if (outcome !== 'complete') return;
          done++;
        }
      }),
    );
    while (done < 5 + round * 3) await new Promise((resolve) => setImmediate(resolve));
    filter.tell({ do: 'exit in a timer' });
    expectThat(await filter.ended(), filter.state()).toStrictEqual(EXITED);
    await traffic;
  }
});

test('SIGKILL leaves a socket file that the next filter takes over', async () => {
  await using filter = await ObservedFilter.start();
  filter.child.kill('SIGKILL');
  await filter.ended();
  await using next = await ObservedFilter.start({ socket: filter.socket });
  await servesWell(next);
  expect(await next.stop()).toStrictEqual(CLEAN_END);
});
