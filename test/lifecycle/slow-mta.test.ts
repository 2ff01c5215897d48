/**
 * An MTA that does not read, or has closed the connection, while the filter writes to it: only the thread of that session
 * waits (R2), the failed write is reported, and the handler's signal is aborted before it ends.
 */
import { expect, test } from '@jest/globals';
import { allClosed, RawPeer, recordingFilter, upTo } from '../fixtures/lifecycle/raw-peer.js';
import { FLOOD_BYTES } from '../fixtures/lifecycle/recording-filter.js';
import { expectThat } from '../support/expect.js';
import { inLanes } from '../support/in-lanes.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { CLEAN_END, type ObservedFilter } from './support/observed-filter.js';

/** A JS thread that wrote to the socket itself would be blocked until its MTA reads, that is, for the whole test. */
const NO_GAP = 5_000;

const FAMILIES = ['unix', 'inet'] as const;

/** A recording filter, and its socket for RawPeer and MtaSession. */
async function listening(
  family: (typeof FAMILIES)[number],
  options: Parameters<typeof recordingFilter>[0] = {},
): Promise<{ filter: ObservedFilter; where: string }> {
  if (family === 'unix') {
    const filter = await recordingFilter(options);
    return { filter, where: filter.socket };
  }
  const filter = await recordingFilter({ ...options, socket: 'inet:0@127.0.0.1' });
  const { port } = await filter.event('listening');
  const where = `inet:${port}@127.0.0.1`;
  Object.defineProperty(filter, 'socket', { value: where }); // for open()
  return { filter, where };
}

/** An MTA whose message makes the filter write 8 MiB, which it does not read. */
async function deafPeer(filter: ObservedFilter, where: string): Promise<RawPeer> {
  const before = filter.count('flooding');
  const peer = await RawPeer.dial(where);
  peer.send(upTo('eom', 'floods.eom'));
  await filter.event('flooding', undefined, before + 1);
  await peer.hears();
  return peer;
}

/** Reads all replies to a message: their letters, and the size of the new body. */
async function readOut(peer: RawPeer): Promise<{ letters: string; body: number }> {
  let letters = '';
  let body = 0;
  while (!letters.endsWith('bc')) {
    const next = await peer.read();
    if (!next) throw new Error(`the connection ended after ${letters}, ${body} bytes`);
    if (next.command === 'b') body += next.payload.length;
    if (next.command !== 'b' || !letters.endsWith('b')) letters += next.command;
  }
  return { letters, body };
}

async function ticks(filter: ObservedFilter): Promise<number> {
  const before = filter.count('ticks');
  filter.tell({ do: 'ticks' });
  return (await filter.event('ticks', undefined, before + 1)).longest as number;
}

for (const family of FAMILIES) {
  test(`control (${family}): an MTA that reads gets the whole new body`, async () => {
    const { filter, where } = await listening(family);
    await using _ = filter;
    const session = await filter.open();
    await greet(session, 'floods.eom');
    const { verdict, modifications } = await session.message(goodMessage);
    expect(verdict).toBe('continue');
    const [only] = modifications;
    if (only?.type !== 'replacebody') throw new Error(`the only modification is ${only?.type}`);
    expect(only.body).toHaveLength(FLOOD_BYTES);
    await session.quit();
    await using peer = await deafPeer(filter, where);
    expect(await readOut(peer)).toStrictEqual({ letters: 'Occccccbc', body: FLOOD_BYTES });
    peer.destroy();
    await allClosed(filter);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });

  test(`other sessions are served while an MTA does not read (${family}); what it reads later is complete`, async () => {
    const { filter, where } = await listening(family);
    await using _ = filter;
    const deaf: RawPeer[] = [];
    for (let i = 0; i < 6; i++) deaf.push(await deafPeer(filter, where));
    await ticks(filter); // restarts the measurement
    await inLanes(4, Array(60).keys(), () => servesWell(filter));
    const longest = await ticks(filter);
    expectThat(longest, `the JS thread stood still for ${longest} ms`).toBeLessThan(NO_GAP);
    // None was disconnected meanwhile.
    for (const peer of deaf) {
      expect(peer.over).toBe(false);
      expect(await readOut(peer)).toStrictEqual({ letters: 'Occccccbc', body: FLOOD_BYTES });
      peer.destroy();
    }
    await servesWell(filter);
    await allClosed(filter);
    expectThat(filter.count('error'), filter.state()).toBe(0);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });

  test(`an MTA that closes the connection during a write (${family}): ERR_MILTER_WRITE, once per message`, async () => {
    const { filter, where } = await listening(family, { more: { keep: true } });
    await using _ = filter;
    for (let i = 1; i <= 10; i++) {
      const peer = await deafPeer(filter, where);
      if (i % 2) expect((await peer.read())?.command).toBe('O'); // some of it was read
      peer.destroy();
      await filter.event('error', undefined, i);
    }
    await servesWell(filter);
    const { histories } = await allClosed(filter);
    const codes = filter.all('error').map(({ code }) => code);
    expectThat(codes, filter.state()).toStrictEqual(Array(10).fill('ERR_MILTER_WRITE'));
    for (const seen of histories as string[][]) expect(seen.slice(-2)).toStrictEqual(['eom', 'close']);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });

  test(`a lost MTA is noticed when progress fails (${family}): the signal is aborted before the session ends`, async () => {
    const { filter, where } = await listening(family, {
      run: { progressInterval: 20 },
      more: { keep: true },
    });
    await using _ = filter;
    const peer = await RawPeer.dial(where);
    peer.send(upTo('eom', 'park.eom'));
    await filter.event('parked');
    peer.destroy();
    const aborted = await filter.event('aborted');
    expect([aborted.step, aborted.code]).toStrictEqual(['eom', 'ERR_MILTER_WRITE']);
    // The session ends while the handler is still at work.
    const { histories } = await allClosed(filter);
    expect((histories as string[][])[0]?.slice(-2)).toStrictEqual(['eom', 'close']);
    expect(filter.all('error').map(({ code }) => code)).toStrictEqual(['ERR_MILTER_WRITE']);
    await servesWell(filter);
    filter.tell({ do: 'release' });
    await filter.event('error', ({ code }) => code === 'ERR_MILTER_LATE_ANSWER');
    await servesWell(filter);
    await allClosed(filter);
    expectThat(filter.count('error'), filter.state()).toBe(2);
    expectThat(filter.count('aborted'), filter.state()).toBe(1);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });

  test(`control (${family}): a connected MTA gets progress and the reply`, async () => {
    const { filter, where } = await listening(family, { run: { progressInterval: 20 } });
    await using _ = filter;
    await using peer = await RawPeer.dial(where);
    peer.send(upTo('eom', 'park.eom'));
    for (const letter of 'Occccccppp') expect((await peer.read())?.command).toBe(letter);
    filter.tell({ do: 'release' });
    peer.endSending();
    expect(await peer.rest()).toMatch(/^p*c$/);
    await allClosed(filter);
    expectThat(filter.count('error'), filter.state()).toBe(0);
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });

  test(`the filter stops although an MTA does not read (${family})`, async () => {
    const { filter, where } = await listening(family, { run: { drainTimeout: 300 } });
    await using _ = filter;
    const deaf: RawPeer[] = [];
    for (let i = 0; i < 3; i++) deaf.push(await deafPeer(filter, where));
    await servesWell(filter);
    filter.child.kill('SIGTERM');
    expect(await filter.ended()).toStrictEqual(CLEAN_END);
    const [stopped] = filter.all('stopped');
    expectThat([stopped?.made, stopped?.ended, stopped?.wrong], filter.state()).toStrictEqual([4, 4, []]);
    for (const peer of deaf) peer.destroy();
  });
}

test('a lost MTA is noticed while the JS thread has many handlers parked', async () => {
  await using filter = await recordingFilter({ run: { progressInterval: 50 } });
  const peers: RawPeer[] = [];
  for (let i = 1; i <= 20; i++) {
    const peer = await RawPeer.dial(filter.socket);
    peer.send(upTo('eom', 'park.eom'));
    await filter.event('parked', undefined, i);
    peers.push(peer);
  }
  const [lost, kept] = [peers.slice(0, 10), peers.slice(10)];
  for (const peer of lost) peer.destroy();
  await filter.event('aborted', undefined, lost.length);
  filter.tell({ do: 'release' });
  for (const peer of kept) {
    peer.endSending();
    expect(await peer.rest()).toMatch(/^Occccccp*c$/);
  }
  await servesWell(filter);
  await allClosed(filter);
  // A signal outlives its handler: the others' were aborted at the end of their session.
  const codes = filter.all('aborted').map(({ code }) => code);
  expectThat(codes.slice(0, lost.length), filter.state()).toStrictEqual(
    Array(lost.length).fill('ERR_MILTER_WRITE'),
  );
  expectThat(codes.slice(lost.length), filter.state()).not.toContain('ERR_MILTER_WRITE');
  expect(await filter.stop()).toStrictEqual(CLEAN_END);
});
