/** A thousand sessions at once, each awaiting: one JS thread serves them side by side. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, jest, test } from '@jest/globals';
import { load } from '../../tools/load.js';
import { expectThat } from '../support/expect.js';
import { FilterProcess } from '../support/filter-process.js';

jest.setTimeout(900_000);

const SESSIONS = 1_000;
const MESSAGES = 10;
const PAUSE = 20;
const WAIT = 100;
/** Seconds for CONNECT and HELO, then for MAIL, RCPT, DATA and the final dot of each message, where the handler waits. */
const IDEAL = (2 * PAUSE + MESSAGES * (4 * PAUSE + WAIT)) / 1000;
/** A tenth of the time that the sessions would take one after the other. How fast it is, the benchmark shows. */
const MOST = (SESSIONS * IDEAL) / 10;

/** Resident memory after libmilter's idle workers have ended and it has fallen to `most`; what it is after 60 s otherwise. */
async function settled(filter: FilterProcess, most: number): Promise<number> {
  const deadline = performance.now() + 60_000;
  let bytes: number;
  do {
    await sleep(500);
    bytes = await filter.request<number>('memory');
  } while ((bytes > most || threads(filter.pid) > 50) && performance.now() < deadline);
  return bytes;
}

const threads = (pid: number) => readdirSync(`/proc/${pid}/task`).length;

test(`${SESSIONS} sessions that await ${WAIT} ms are served side by side, and leave no memory`, async () => {
  await using filter = await FilterProcess.start('busy', { options: { wait: WAIT, only: 'eom' } });
  const run = () =>
    load(
      filter.socket,
      { connections: SESSIONS, messages: MESSAGES, headers: 1, body: 100, pause: PAUSE },
      2 * MOST * 1000,
    );
  // The first round creates the threads, stacks and buffers that stay.
  await run();
  const before = await settled(filter, Number.POSITIVE_INFINITY);
  const { seconds, messages, failed } = await run();
  const after = await settled(filter, before * 1.05);
  console.log(
    `${seconds.toFixed(2)} s, ideal ${IDEAL} s, ratio ${(seconds / IDEAL).toFixed(2)}; ` +
      `resident ${(before / 2 ** 20).toFixed(1)} MiB before, ${(after / 2 ** 20).toFixed(1)} MiB after`,
  );
  expect(failed).toBe(0);
  expect(messages).toBe(SESSIONS * MESSAGES);
  expectThat(after, `resident ${before} bytes before, ${after} after`).toBeLessThan(before * 1.05);
  expectThat(seconds, `took ${seconds.toFixed(2)} s, at most ${MOST.toFixed(2)} s`).toBeLessThan(MOST);
  await filter.stop();
});
