/** What comes while a filter starts: a stop, SIGHUP, another start. And what a start that has failed leaves behind: nothing. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  type Attempt,
  attempt,
  attempts,
  endsWell,
  listeners,
  starter,
  startsWellNow,
} from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { servesWell } from './support/messages.js';
import type { ObservedFilter } from './support/observed-filter.js';

const MODULE = join(__dirname, '../fixtures/lifecycle/quiet-filter.js');

/** How a filter can be started: each does something else before libmilter. */
const STARTS: readonly [how: string, start: Partial<Attempt>][] = [
  ['a plain start', {}],
  ['a start with metrics', { run: { metrics: 'inet:0@127.0.0.1' } }],
  ['a start with workers', { factory: 'none', run: { module: MODULE, workers: 2 } }],
  [
    'a start with workers and metrics',
    { factory: 'none', run: { module: MODULE, workers: 2, metrics: 'inet:0@127.0.0.1' } },
  ],
];

/** Starts a filter without waiting for what becomes of it. */
function begin(filter: ObservedFilter, one: Partial<Attempt>): void {
  filter.tell({ do: 'start', value: JSON.stringify([{ id: 0, socket: filter.socket, ...one }]) });
}

for (const [how, one] of STARTS) {
  test(`stop() during ${how}: nothing listens, runmilter resolves, and a filter can be started`, async () => {
    await using filter = await starter();
    begin(filter, { ...one, meanwhile: 'stop' });
    await filter.event('stop resolved');
    await filter.event('stopped');
    expect(await listeners(filter)).toStrictEqual([]);
    expect(existsSync(filter.path)).toBe(false);
    expectThat(filter.count('outcome'), filter.state()).toBe(0);
    await startsWellNow(filter);
  });

  test(`SIGHUP during ${how} does not end the process`, async () => {
    await using filter = await starter();
    begin(filter, { ...one, meanwhile: 'SIGHUP' });
    expect((await filter.event('outcome')).listening).toBe(true);
    await endsWell(filter);
  });

  test(`another start during ${how} is refused, and changes nothing for the first`, async () => {
    await using filter = await starter();
    const second = `unix:${join(dirname(filter.path), 'second')}`;
    const [told, refused] = await attempts(
      filter,
      { socket: filter.socket, ...one },
      { socket: second, factory: 'refusing' },
    );
    expect(refused?.code).toBe('ERR_MILTER_IN_USE');
    expect(told?.listening).toBe(true);
    await servesWell(filter);
    await endsWell(filter);
  });
}

test('the factory of a start that has failed is forgotten: one with a module is not refused for it', async () => {
  await using filter = await starter();
  expect((await attempt(filter, { socket: 'unix:/none/sock' })).code).toBe('ENOENT');
  const { code, message } = await attempt(filter, { factory: 'none' });
  expectThat(code, String(message)).toBe('ERR_MILTER_BAD_ARGUMENT');
  expect(message).toMatch(/needs a factory/);
  const [, workers] = STARTS[2] as (typeof STARTS)[number];
  expect((await attempt(filter, workers)).listening).toBe(true);
  await endsWell(filter);
});

test('SIGHUP ends the process again after a start that has failed', async () => {
  await using filter = await starter();
  const failing = { socket: 'unix:/none/sock', run: { metrics: 'inet:0@127.0.0.1' } };
  expect((await attempt(filter, { ...failing, meanwhile: 'SIGHUP' })).code).toBe('ENOENT');
  filter.child.kill('SIGHUP');
  expect(await filter.ended()).toStrictEqual({ code: null, signal: 'SIGHUP' });
});

test('a stop without a start resolves, and does not concern the next start', async () => {
  await using filter = await starter();
  filter.tell({ do: 'stop' });
  await filter.event('stop resolved');
  expect((await attempt(filter)).listening).toBe(true);
  await servesWell(filter);
  await endsWell(filter);
});
