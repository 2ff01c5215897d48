/**
 * The milter protocol, fuzzed: many connections at once send valid, broken and hostile frames to a filter that misbehaves,
 * while its workers die, and until it is stopped in the middle of it; then the next filter has its turn. Each must write only
 * well-formed frames, close every connection, serve an orderly client as if nothing were, and end with exit code 0 and every
 * context closed. Run under the sanitizers, which report what cannot be seen from outside.
 */
import { connect, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { TIMEOUT, until, within } from '../../tools/wait';
import { goodMessage } from '../lifecycle/support/messages';
import { CLEAN_END, ObservedFilter } from '../lifecycle/support/observed-filter';
import { expectThat } from '../support/expect';
import { Random } from '../support/random';
import { SECONDS, SEED, seeded } from './support/fuzz';
import { ReplyChecker } from './support/replies';
import { sessionBytes } from './support/session-bytes';

/** Connections at once. */
const CONNECTIONS = 24;
/** How long one filter is fuzzed before it is stopped: several have their turn in a short run, and a long one. */
const LIFE_MS = Math.max(5_000, SECONDS * 20);

/** The socket has taken the bytes, or is closed. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()));
}

/** As an MTA that is slow: the filter has to wait with what it writes. */
function readNothingFor(ms: number, socket: Socket): void {
  socket.pause();
  setTimeout(() => socket.resume(), ms);
}

/** One connection, from its negotiation to its end; resolves to the number of frames that were sent. */
async function attack(path: string, random: Random): Promise<number> {
  const socket = connect(path);
  const checker = new ReplyChecker();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {}); // a close follows
  socket.on('data', (chunk: Buffer) => checker.feed(chunk));
  let frames = 0;
  for (const batch of sessionBytes(random)) {
    // A filter that sees the bytes in two pieces must not care where the first ends.
    const cut = random.chance(0.2) ? random.below(batch.bytes.length) : batch.bytes.length;
    await written(socket, batch.bytes.subarray(0, cut));
    if (random.chance(0.01)) socket.destroy();
    if (cut < batch.bytes.length) await written(socket, batch.bytes.subarray(cut));
    if (socket.closed || socket.destroyed || socket.errored) break;
    frames += batch.frames;
    if (random.chance(0.02)) readNothingFor(random.below(200), socket);
  }
  if (random.chance(0.2)) socket.destroy();
  else socket.end();
  await within('the end of a connection', closed, 4 * TIMEOUT);
  expect(checker.problem).toBeUndefined();
  return frames;
}

/** An orderly client, unless its worker dies meanwhile. */
async function servesAnOrderlyClient(filter: ObservedFilter): Promise<void> {
  await until('an orderly client that is served', async () => {
    await using session: MtaSession = await filter.open();
    await session.connect('none.none', { family: 'unknown' });
    await session.helo('client.example');
    const { verdict, modifications } = await session.message(goodMessage);
    return (
      verdict === 'continue' &&
      modifications.some((one) => one.type === 'addheader' && one.name === 'X-Orderly')
    );
  });
}

/** One filter, fuzzed until the deadline and then stopped; resolves to the number of frames that it was sent. */
async function life(seed: number, ends: number): Promise<number> {
  const random = new Random(seed);
  await using filter = await ObservedFilter.start({
    fixture: '../fuzz/filter',
    run: { handlerTimeout: 1_000, drainTimeout: random.pick([0, 200, 2_000]) },
    more: { seed },
  });
  let frames = 0;
  let stopping = false;
  const lane = async () => {
    while (!stopping) {
      const sent = await attack(filter.path, new Random(random.uint32()));
      frames += sent; // not before the await: other lanes add to it meanwhile
    }
  };
  const lanes = Array.from({ length: CONNECTIONS }, lane);
  const all = Promise.all(lanes);
  const begin = performance.now();
  const pause = (ms: number) => Promise.race([all, new Promise((resolve) => setTimeout(resolve, ms))]);
  for (let deaths = random.below(3); deaths > 0; deaths--) {
    await pause((ends - begin) / 4);
    filter.tell({ do: 'kill a worker' });
    await servesAnOrderlyClient(filter);
  }
  await pause(Math.max(0, ends - performance.now()));
  await servesAnOrderlyClient(filter);
  stopping = true;
  const end = await filter.stop();
  await all;
  expectThat(end, filter.state()).toStrictEqual(CLEAN_END);
  expectThat(filter.all('undocumented'), filter.state()).toStrictEqual([]);
  const stopped = await filter.event('stopped');
  expectThat(stopped.ended, filter.state()).toBe(stopped.made);
  return frames;
}

test(
  `random sessions for ${SECONDS} s (seed ${SEED})`,
  async () => {
    const seeds = new Random(SEED);
    const deadline = performance.now() + SECONDS * 1_000;
    let frames = 0;
    let lives = 0;
    while (performance.now() < deadline || lives === 0) {
      const seed = seeds.uint32();
      frames += await seeded(seed, () => life(seed, Math.min(deadline, performance.now() + LIFE_MS)));
      lives++;
    }
    console.log(`${frames} frames to ${lives} filters`);
    expect(frames).toBeGreaterThan(SECONDS * 100);
  },
  SECONDS * 1_000 + 10 * TIMEOUT,
);
