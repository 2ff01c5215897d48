/**
 * No leaks: after thousands of sessions that ended in every possible way, the descriptors, threads and counts of contexts are
 * as before.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, test } from '@jest/globals';
import { Actions, Protocol } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import {
  account,
  allClosed,
  frame,
  offer,
  RawPeer,
  recordingFilter,
  STEP_FRAMES,
  upTo,
} from '../fixtures/lifecycle/raw-peer.js';
import { expectThat } from '../support/expect.js';
import { inLanes } from '../support/in-lanes.js';
import { openFiles } from './support/descriptors.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, type ObservedFilter } from './support/observed-filter.js';

const LANES = 6;
/**
 * libmilter keeps 2 workers and ends another one only if it finds two idle, so one more may remain for each session
 * that was served at the same time.
 */
const IDLE_WORKERS = LANES + 2;

/** The flags of a listening socket in /proc/net/unix. */
const LISTENING = ' 00010000 ';

/** The open descriptors of the process, by kind. */
function descriptors(filter: ObservedFilter): string[] {
  return openFiles(filter.pid)
    .map((file) => file.replace(/\d+/, ''))
    .sort();
}

const threads = (filter: ObservedFilter) => readdirSync(`/proc/${filter.pid}/task`).length;

/** The number of connections that the filter has on its socket. */
function connections(filter: ObservedFilter): number {
  const path = filter.socket.replace('unix:', '');
  const sockets = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return sockets.filter((line) => line.endsWith(` ${path}`) && !line.includes(LISTENING)).length;
}

/** The descriptors of a filter without sessions: libmilter closes a connection after the context of its session has ended. */
async function descriptorsAtRest(filter: ObservedFilter): Promise<string[]> {
  await allClosed(filter);
  let found: string[] = [];
  await until('the end of every connection', () => {
    if (connections(filter) > 0) return false;
    found = descriptors(filter);
    return connections(filter) === 0; // a connection that wakes libmilter is a short one
  });
  return found;
}

/** Waits until every context has ended and the descriptors are as before. */
async function asBefore(filter: ObservedFilter, before: readonly string[]): Promise<void> {
  await allClosed(filter);
  let now: string[] = [];
  await until(
    `the ${before.length} descriptors of before`,
    () => {
      now = descriptors(filter);
      return now.join() === before.join();
    },
    undefined,
    () =>
      `now ${now.length}: ${now.filter((one) => !before.includes(one) || one.startsWith('socket')).join(' ')}`,
  );
}

type Visit = (filter: ObservedFilter, nth: number) => Promise<void>;

/** A peer that sends bytes and closes the connection after so many replies, or only its sending side (null). */
async function raw(filter: ObservedFilter, reads: number | null, ...bytes: Uint8Array[]): Promise<void> {
  await using peer = await RawPeer.dial(filter.socket);
  if (bytes.length > 0) peer.send(...bytes);
  for (let i = 0; i < (reads ?? 0); i++)
    expectThat(await peer.read(), `the connection ended after ${i} answers`).toBeTruthy();
  if (reads !== null) return;
  peer.endSending();
  await peer.rest();
}

/** Every kind of session, and how often it is repeated. */
const VISITS: Readonly<Record<string, [times: number, visit: Visit]>> = {
  good: [1_000, servesWell],
  'connected and gone': [2_000, (filter) => raw(filter, 0)],
  'ended without sending': [500, (filter) => raw(filter, null)],
  'negotiated and gone': [1_000, (filter, nth) => raw(filter, nth % 2, offer())],
  // If the end comes before libmilter has read, it reads nothing; therefore every number of replies is tried.
  'hung up in the message': [1_000, (filter, nth) => raw(filter, nth % 7, upTo('body'))],
  'ended in the message': [500, (filter, nth) => raw(filter, null, upTo(nth % 2 ? 'header' : 'body'))],
  'hung up after the message': [500, (filter) => raw(filter, 9, upTo('eom'))],
  'hung up while a handler is awaited': [500, (filter) => raw(filter, 5, upTo('eom', 'takesAMoment.data'))],
  aborted: [
    500,
    async (filter) => {
      await using session = await filter.open();
      await greet(session);
      for (let i = 0; i < 2; i++) {
        await session.mail('<a@client.example>');
        await session.rcpt('<b@example.com>');
        await session.abort();
      }
    },
  ],
  'refused by a handler that throws': [
    300,
    async (filter, nth) => {
      await using session = await filter.open();
      await greet(session, `throws.${['envfrom', 'header', 'body', 'eom'][nth % 4]}`);
      expect((await session.message(goodMessage)).verdict).toBe('tempfail');
    },
  ],
  garbage: [
    1_000,
    (filter, nth) => raw(filter, null, nth % 2 ? upTo('mail') : offer(), Buffer.alloc(nth % 80, 0xff)),
  ],
  'half a frame': [
    500,
    (filter, nth) => raw(filter, nth % 2 === 0 ? 5 : null, upTo('rcpt'), frame('L', 'Subject', 500)),
  ],
  'refused negotiations': [300, (filter) => raw(filter, null, offer(1))],
  'steps without a negotiation': [300, (filter) => raw(filter, null, STEP_FRAMES.helo, STEP_FRAMES.mail)],
  'old MTAs': [
    200,
    async (filter) => {
      await using session = await filter.open({ version: 2, actions: Actions.V2, protocol: Protocol.V2 });
      await greet(session);
      expect((await session.message(goodMessage)).verdict).toBe('continue');
    },
  ],
  'several clients on a connection': [
    200,
    async (filter) => {
      await using session = await filter.open();
      for (let i = 0; i < 3; i++) {
        await greet(session);
        expect((await session.message(goodMessage)).verdict).toBe('continue');
        if (i < 2) await session.quitNewConnection();
      }
    },
  ],
};

/** Runs sessions of one kind, several at a time. */
async function visit(filter: ObservedFilter, times: number, one: Visit): Promise<void> {
  await inLanes(LANES, Array(times).keys(), (nth) => one(filter, nth));
}

/** A filter that has had a few sessions of each kind, so that everything that is allocated once exists. */
async function warm(): Promise<ObservedFilter> {
  const filter = await recordingFilter();
  for (const [, one] of Object.values(VISITS)) await visit(filter, 2 * LANES, one);
  return filter;
}

describe('descriptors, threads and contexts after thousands of sessions of each kind', () => {
  let filter: ObservedFilter;
  let before: string[];
  let base: number;
  beforeAll(async () => {
    filter = await warm();
    before = await descriptorsAtRest(filter);
    base = threads(filter);
  });
  afterAll(() => filter?.[Symbol.asyncDispose]());

  for (const [kind, [times, one]] of Object.entries(VISITS)) {
    it(`are as before after ${times} × ${kind}`, async () => {
      await visit(filter, times, one);
      await asBefore(filter, before);
      const now = threads(filter);
      expectThat(now, `${now} threads, ${base} before`).toBeLessThanOrEqual(base + IDLE_WORKERS);
    });
  }

  it('every context has ended when the filter stops', async () => {
    await servesWell(filter);
    const { made, ended } = await account(filter);
    expectThat(made as number, `${made} made, ${ended} ended`).toBeGreaterThan(5_000);
    expectThat(made, `${made} made, ${ended} ended`).toBe(ended);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });
});

test('descriptors and threads are as before after all kinds of sessions at once', async () => {
  await using filter = await warm();
  const before = await descriptorsAtRest(filter);
  const base = threads(filter);
  const kinds = Object.values(VISITS);
  await visit(filter, 3_000, (_, nth) => {
    const [, one] = kinds[nth % kinds.length] as (typeof kinds)[number];
    return one(filter, Math.floor(nth / kinds.length));
  });
  await asBefore(filter, before);
  expectThat(threads(filter), `${threads(filter)} threads, ${base} before`).toBeLessThanOrEqual(
    base + IDLE_WORKERS,
  );
  await servesWell(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});

test('many parked sessions that are lost release their descriptors and contexts', async () => {
  await using filter = await recordingFilter({ run: { progressInterval: 20 } });
  await servesWell(filter);
  const before = await descriptorsAtRest(filter);
  const base = threads(filter);
  for (let round = 1; round <= 3; round++) {
    const peers: RawPeer[] = [];
    for (let i = 1; i <= 40; i++) {
      const peer = await RawPeer.dial(filter.socket);
      peer.send(upTo('eom', 'park.eom'));
      await filter.event('parked', undefined, (round - 1) * 40 + i);
      peers.push(peer);
    }
    expect(descriptors(filter)).toHaveLength(before.length + 40); // control: they are counted
    for (const peer of peers) peer.destroy();
    await asBefore(filter, before);
    filter.tell({ do: 'release' });
    // The threads of the previous round serve the next one.
    expectThat(
      threads(filter),
      `round ${round}: ${threads(filter)} threads, ${base} before`,
    ).toBeLessThanOrEqual(base + 40 + 2);
  }
  await servesWell(filter);
  await allClosed(filter);
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});
