/** Threads of the application's own that start a filter at the same moment: the first one does, the others are told. */
import { expect, test } from '@jest/globals';
import { MtaSession } from 'tsmilter/testing';
import { serves } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { ObservedFilter } from './support/observed-filter.js';

/** libmilter starts once in a process, so each try takes one. */
const TRIES = 4;

for (const socket of [undefined, 'inet:0@127.0.0.1']) {
  test(`three threads start at once, ${socket ?? 'a unix socket'}: one serves, two get ERR_MILTER_IN_USE`, async () => {
    for (let i = 0; i < TRIES; i++) {
      await using filter = await ObservedFilter.start({
        fixture: 'many-threads',
        listening: false,
        more: { tasks: ['start', 'start', 'start'] },
        ...(socket === undefined ? {} : { socket }),
      });
      await filter.event('outcome', undefined, 3);
      const outcomes = filter.all('outcome');
      const codes = outcomes.map(({ outcome, code }) => code ?? outcome).sort();
      expectThat(codes, JSON.stringify(outcomes)).toStrictEqual([
        'ERR_MILTER_IN_USE',
        'ERR_MILTER_IN_USE',
        'listening',
      ]);
      const { port } = await filter.event('outcome', ({ outcome }) => outcome === 'listening');
      await serves(await MtaSession.open(socket ? `inet:${port}@127.0.0.1` : filter.socket));
    }
  });
}

test('other threads listen on ports of their own meanwhile: the port of the filter is its own', async () => {
  for (let i = 0; i < TRIES; i++) {
    await using filter = await ObservedFilter.start({
      fixture: 'many-threads',
      listening: false,
      socket: 'inet:0@127.0.0.1',
      more: { tasks: ['start', 'listen', 'listen'] },
    });
    const { outcome, port } = await filter.event('outcome');
    expect(outcome).toBe('listening');
    await serves(await MtaSession.open(`inet:${port}@127.0.0.1`));
  }
});

test('a start that fails leaves the filter to another thread; so does the end of a thread that has only registered', async () => {
  await using filter = await ObservedFilter.start({ fixture: 'takes-over', listening: false });
  const outcome = async (nth: number) => {
    const { thread, result } = await filter.event('outcome', undefined, nth);
    return [thread, result];
  };
  expect(await outcome(1)).toStrictEqual(['refused', 'ERR_MILTER_BAD_ARGUMENT']);
  expect(await outcome(2)).toStrictEqual(['fails', 'ENOENT']); // though the thread before still lives
  expect(await outcome(3)).toStrictEqual(['registers', 'registered']);
  expect(await outcome(4)).toStrictEqual(['main', 'ERR_MILTER_IN_USE']); // while that thread lives
  expect(await outcome(5)).toStrictEqual(['main', 'listening']);
  await serves(await filter.open());
});
