/** Many messages through one process: what it holds at half time is what it holds at the end. */
import { expect, jest, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { expectThat } from '../support/expect.js';
import { FilterProcess } from '../support/filter-process.js';

jest.setTimeout(900_000);

const MESSAGES = 200_000;
const PARTS = 10;
const SESSIONS = 8;
const MESSAGES_PER_SESSION = 100;
const MAX_GROWTH = 0.02;
/** V8 doubles its young generation when it sees fit, which may be in the last half: it has its size from the start. */
const YOUNG_GENERATION = ['--min-semi-space-size=16', '--max-semi-space-size=16'];

const HEADERS: [string, string][] = Array.from({ length: 10 }, (_, i) => [
  `X-Header-${i}`,
  `value ${i} of a header`,
]);
const BODY = Buffer.from('a line of the body of a message\r\n'.repeat(64));

async function oneSession(filter: FilterProcess): Promise<void> {
  await using session: MtaSession = await filter.session();
  await session.connect('client.test', { family: 'inet', address: '192.0.2.1', port: 25 });
  await session.helo('client.test');
  for (let i = 0; i < MESSAGES_PER_SESSION; i++) {
    const end = await session.message({
      sender: '<sender@src.test>',
      recipients: ['<rcpt@dest.test>'],
      headers: HEADERS,
      body: BODY,
    });
    expect(end.verdict).toBe('continue');
  }
  await session.quit();
}

async function send(filter: FilterProcess, messages: number): Promise<void> {
  let left = messages / MESSAGES_PER_SESSION;
  const lane = async () => {
    while (left-- > 0) await oneSession(filter);
  };
  await Promise.all(Array.from({ length: SESSIONS }, lane));
}

test(`${MESSAGES} messages: resident memory grows by less than 2 % over the last half`, async () => {
  await using filter = await FilterProcess.start('busy', { fork: { execArgv: YOUNG_GENERATION } });
  const begin = performance.now();
  // Measured often, and each time after a collection: V8's heap reaches its size early, not in the last half.
  const resident: number[] = [];
  for (let part = 0; part < PARTS; part++) {
    await send(filter, MESSAGES / PARTS);
    resident.push(await filter.request<number>('memory'));
  }
  const seconds = (performance.now() - begin) / 1000;
  const middle = resident[PARTS / 2 - 1] as number;
  const end = resident[PARTS - 1] as number;
  console.log(
    `${(MESSAGES / seconds).toFixed(0)} messages/s; resident ${resident.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(' ')} MiB: ` +
      `${(((end - middle) / middle) * 100).toFixed(2)} % over the last half`,
  );
  expectThat(end, `resident ${middle} bytes at half time, ${end} at the end`).toBeLessThan(
    middle * (1 + MAX_GROWTH),
  );
  await filter.stop();
});
