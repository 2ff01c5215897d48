/** Timers and sockets of a filter have their turn while messages keep coming. */
import { expect, it } from '@jest/globals';
import { FilterProcess } from '../support/filter-process.js';

const SESSIONS = 16;
const MESSAGES = 60;
/**
 * A wake-up delivers a handler call of each session at most, and a few follow one another before the loop has its turn. Without
 * turns, all the messages would be handled between two of them.
 */
const MOST = 8 * SESSIONS;

it('the event loop has its turn while 16 sessions keep the filter busy', async () => {
  await using filter = await FilterProcess.start('turns');
  const session = async () => {
    await using mta = await filter.greeted();
    for (let i = 0; i < MESSAGES; i++) {
      await mta.mail('<a@src.example>');
      await mta.abort();
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
  const most = await filter.request<number>('mostBetweenTurns');
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(MOST);
});
