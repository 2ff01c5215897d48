/**
 * A process that ends while libmilter's threads are at work: process.exit() inside handlers, an uncaught exception, a
 * main script that has nothing more to do. The MTA hears a tempfail or the end of the connection, the exit code is the
 * one given, and no signal ends the process.
 */
import { expect, test } from '@jest/globals';
import type { MtaSession, Response } from 'tsmilter/testing';
import { errorWith, expectThat } from '../support/expect.js';
import { STEP_HANDLERS } from '../support/handlers.js';
import { CLEAN_END, type End, FilterProcess } from './support/filter-process.js';
import { goodMessage, greet, servesWell } from './support/messages.js';

const EXITED: End = { code: 7, signal: null };

/** A dialogue that reaches every handler; resolves to what ended it. */
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
  await using filter = await FilterProcess.start();
  expect(await dialogue(await filter.open(), 'none.none')).toBe('complete');
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

for (const [deed, steps] of [
  ['exits', STEP_HANDLERS],
  ['exitsLater', ['connect', 'body', 'eom', 'close']],
] as const) {
  for (const step of steps) {
    test(`${deed}: process.exit(7) in ${step}`, async () => {
      await using filter = await FilterProcess.start();
      const bystander = await filter.open();
      await greet(bystander, 'park.eom');
      const parked = bystander.message(goodMessage).then(
        ({ verdict }) => verdict as string,
        (error: { code?: string }) => error.code,
      );
      await filter.event('parked');
      const outcome = await dialogue(await filter.open(), `${deed}.${step}`);
      if (step === 'close' || step === 'abort') expect(['complete', 'eof', 'tempfail']).toContain(outcome);
      else expect(outcome).not.toBe('complete');
      expectThat(await filter.ended(), filter.state()).toStrictEqual(EXITED);
      const other = await parked;
      expectThat(other === 'tempfail' || other === 'ERR_MILTER_CLOSED', String(other)).toBe(true);
    });
  }
}

test('process.exit(7) in negotiate', async () => {
  await using filter = await FilterProcess.start();
  filter.tell({ do: 'negotiation', value: 'exits' });
  await filter.event('negotiation');
  await expect(filter.open()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
  expect(await filter.ended()).toStrictEqual(EXITED);
});

test('process.exit() after a modification was asked for', async () => {
  await using filter = await FilterProcess.start();
  expect(await dialogue(await filter.open(), 'exitsWithModifications.eom')).not.toBe('complete');
  expect(await filter.ended()).toStrictEqual(EXITED);
});

for (const [what, command, end] of [
  ['process.exit() in a timer', 'exit in a timer', EXITED],
  ['an uncaught exception in a timer', 'throw in a timer', { code: 1, signal: null }],
] as const) {
  test(`${what}, with many parked sessions and traffic`, async () => {
    await using filter = await FilterProcess.start();
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
    // One by one: libmilter lets sessions that become ready in one instant wait for each other.
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

test('an uncaught exception that the user handles ends nothing', async () => {
  await using filter = await FilterProcess.start({ more: { handleUncaught: true } });
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

test('process.exit() again and again, at a different moment of the traffic each time', async () => {
  for (let round = 0; round < 6; round++) {
    await using filter = await FilterProcess.start();
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
  await using filter = await FilterProcess.start();
  filter.child.kill('SIGKILL');
  await filter.ended();
  await using next = await FilterProcess.start({ socket: filter.socket });
  await servesWell(next);
  expect(await next.stop()).toStrictEqual(CLEAN_END);
});
