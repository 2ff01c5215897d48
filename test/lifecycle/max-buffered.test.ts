/**
 * `maxBuffered`: however many sessions wait for slow handlers, what their batches take together is limited, and each message
 * arrives whole.
 *
 *     MILTER_BUFFERED_SESSIONS=4000 npx jest lifecycle/max-buffered      # the same with more sessions
 */
import { expect, jest, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { TIMEOUT } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { inLanes } from '../support/in-lanes.js';
import { itUnless } from '../support/skip.js';

const SESSIONS = Number(process.env.MILTER_BUFFERED_SESSIONS ?? 300);
/** How long a session may wait for the others. */
const PATIENCE = TIMEOUT + 20 * SESSIONS;
jest.setTimeout(10 * PATIENCE);

/** As much as an MTA puts into one frame. Five of them make a whole batch, whose handlers are asked. */
const CHUNK = 'x'.repeat(65_535);
const CHUNKS = 5;
const MIB = 2 ** 20;

async function toData(filter: FilterProcess): Promise<MtaSession> {
  const session = await filter.greeted({ timeout: PATIENCE });
  await session.mail(ENVELOPE.sender);
  await session.rcpt(ENVELOPE.recipients[0]);
  await session.data();
  return session;
}

/** The number of chunks that the filter has seen, once all have been sent. */
async function sendBody(session: MtaSession): Promise<unknown> {
  for (let i = 0; i < CHUNKS; i++) expect((await session.body(CHUNK)).verdict).toBe('continue');
  const { verdict, modifications } = await session.eom();
  expect(verdict).toBe('accept');
  await session.close();
  const [header] = modifications;
  return header && 'value' in header ? header.value : undefined;
}

/** By how many bytes the filter grows while all sessions wait for their body handlers. */
async function growth(maxBuffered: number): Promise<number> {
  await using filter = await FilterProcess.start('slow-bodies', { options: { maxBuffered } });
  const sessions: MtaSession[] = [];
  await inLanes(20, Array(SESSIONS).keys(), async () => {
    sessions.push(await toData(filter));
  });
  const before = await filter.request<number>('memory');
  // One after the other, because a batch does not wait for a slow peer: its first event would be 20 ms old.
  const bodies: Promise<unknown>[] = [];
  for (const session of sessions) {
    const body = sendBody(session);
    body.catch(() => {}); // reported below, unless a wait fails first
    bodies.push(body);
    await filter.event('parked');
  }
  const after = await filter.request<number>('memory');
  await filter.request('release');
  const seen = new Set(await Promise.all(bodies));
  expect(seen).toStrictEqual(new Set([String(CHUNKS)]));
  await filter.stop();
  return after - before;
}

// A sanitizer keeps freed memory for a while, and has its own for each byte.
const sanitized = process.env.MILTER_SANITIZER !== undefined && 'a sanitizer takes memory of its own';

itUnless(
  sanitized,
  `${SESSIONS} sessions with slow handlers take less than half of the memory with a limit of 4 MiB`,
  async () => {
    const unlimited = await growth(Number.MAX_SAFE_INTEGER);
    const limited = await growth(4 * MIB);
    const shown = [unlimited, limited].map((bytes) => (bytes / MIB).toFixed(0));
    console.log(`${SESSIONS} sessions: ${shown[0]} MiB without a limit, ${shown[1]} MiB with 4 MiB`);
    // The control: a batch of up to five chunks for each session.
    expectThat(unlimited, `${shown} MiB`).toBeGreaterThan(SESSIONS * 3 * CHUNK.length);
    expectThat(limited, `${shown} MiB`).toBeLessThan(unlimited / 2);
  },
);

for (const [maxBuffered, asked] of [
  [0, true],
  [undefined, false],
] as const) {
  test(`maxBuffered ${maxBuffered ?? 'by default'}: a chunk ${asked ? 'waits for its handler' : 'is collected'}`, async () => {
    await using filter = await FilterProcess.start('slow-bodies', {
      options: maxBuffered === undefined ? {} : { maxBuffered },
    });
    const session = await toData(filter);
    const body = session.body(CHUNK);
    if (asked) {
      await filter.event('parked');
      await filter.request('release');
      expect((await body).verdict).toBe('continue');
    } else {
      expect((await body).verdict).toBe('continue'); // although no handler has run
      expect(await filter.eventsOf('parked')).toStrictEqual([]);
      await filter.request('release');
    }
    expect((await session.eom()).modifications).toMatchObject([{ name: 'X-Chunks', value: '1' }]);
    await session.close();
    await filter.stop();
  });
}
