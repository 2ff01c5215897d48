/** Large and slow messages: events are handed over in batches, and not one is lost, doubled or out of order. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { REJECT } from 'tsmilter';
import type { MtaSession } from 'tsmilter/testing';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

async function intoMessage(mta: MtaSession): Promise<void> {
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
}

describe('batches', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  for (const immediate of [false, true]) {
    const mode = immediate ? ', immediate' : '';

    it(`a body of 3 MiB in chunks of 65,535 bytes${mode}`, async () => {
      const body = randomBytes(3 * 1024 * 1024);
      await filter.use({ handlers: { body: {}, eom: {} }, statics: { immediate } });
      await using mta = await filter.greeted();
      expect((await mta.message({ ...ENVELOPE, body })).verdict).toBe('continue');
      const chunks = (await filter.eventsOf('body')).map(([, chunk]) => chunk as Buffer);
      expect(new Set(chunks.slice(0, -1).map((chunk) => chunk.length))).toStrictEqual(new Set([65535]));
      expect(Buffer.compare(Buffer.concat(chunks), body)).toBe(0);
    });

    it(`a body in 5,000 chunks of 100 bytes${mode}`, async () => {
      const body = randomBytes(500_000);
      await filter.use({ handlers: { body: {}, eom: {} }, statics: { immediate } });
      await using mta = await filter.session({ chunkSize: 100 });
      await mta.connect('client.example');
      await mta.helo('x');
      await mta.message({ ...ENVELOPE, body });
      const chunks = (await filter.eventsOf('body')).map(([, chunk]) => chunk as Buffer);
      expect(chunks).toHaveLength(5000);
      expect(Buffer.compare(Buffer.concat(chunks), body)).toBe(0);
    });

    it(`${immediate ? '1,000' : '10,000'} headers${mode}`, async () => {
      const headers = Array.from(
        { length: immediate ? 1000 : 10_000 },
        (_, i) => [`X-${i}`, 'v'.repeat(i % 97)] as const,
      );
      await filter.use({ handlers: { header: {}, eoh: {}, eom: {} }, statics: { immediate } });
      await using mta = await filter.greeted();
      expect((await mta.message({ ...ENVELOPE, headers })).verdict).toBe('continue');
      const told = await filter.eventsOf('header', 'eoh', 'eom');
      expect(told.slice(0, -2)).toStrictEqual(headers.map(([name, value]) => ['header', name, value]));
      expect(told.slice(-2)).toStrictEqual([['eoh'], ['eom']]);
    });
  }

  it('a batch of 256 KiB is delivered before the end of the message', async () => {
    await filter.use({ handlers: { header: {}, body: {}, eom: {} } });
    await using mta = await filter.greeted();
    await intoMessage(mta);
    await mta.header('Subject', 'x');
    await mta.body(Buffer.alloc(65535 * 10));
    expect(await filter.event('header')).toStrictEqual(['header', 'Subject', 'x']);
    // However often a batch is handed over for its age, no more than four chunks are less than 256 KiB.
    for (let i = 0; i < 6; i++) await filter.event('body');
    expect((await mta.eom()).verdict).toBe('continue');
    const left = (await filter.events()).map(([name]) => name);
    expect(left).toStrictEqual(['new', 'body', 'body', 'body', 'body', 'eom']);
  });

  it('a message that arrives slowly is delivered as it comes: a batch after 20 ms', async () => {
    await filter.use({ handlers: { header: {}, eom: {} } });
    await using mta = await filter.greeted();
    await intoMessage(mta);
    const told: unknown[] = [];
    let sent = 0;
    while (told.length === 0) {
      expectThat(sent, 'no header was handed over, 30 ms apart, before the end of the message').toBeLessThan(
        100,
      );
      await mta.header('X-Number', String(sent++));
      await sleep(30); // the age that is the point here
      told.push(...(await filter.eventsOf('header')));
    }
    expect((await mta.eom()).verdict).toBe('continue');
    told.push(...(await filter.eventsOf('header')));
    expect(told).toStrictEqual(Array.from({ length: sent }, (_, i) => ['header', 'X-Number', String(i)]));
  });

  it('with an async handler in each batch, the order is kept', async () => {
    const body = randomBytes(1_200_000);
    await filter.use({ handlers: { header: { wait: 1 }, body: { wait: 1 }, eom: { wait: 1 } } });
    await using mta = await filter.greeted();
    const headers = Array.from({ length: 50 }, (_, i) => ['X-Number', String(i)] as const);
    expect((await mta.message({ ...ENVELOPE, headers, body })).verdict).toBe('continue');
    const told = await filter.eventsOf('header', 'body', 'eom');
    expect(told.slice(0, 50).map(([, , value]) => value)).toStrictEqual(headers.map(([, value]) => value));
    expect(told.at(-1)?.[0]).toBe('eom');
    expect(Buffer.compare(Buffer.concat(told.slice(50, -1).map(([, chunk]) => chunk as Buffer)), body)).toBe(
      0,
    );
  });

  it('a verdict in the third batch: the rest of the body is not delivered, the verdict is given at the end', async () => {
    await filter.use({ handlers: { body: [...Array(11).fill({}), { answer: REJECT }], eom: {} } });
    await using mta = await filter.greeted();
    const result = await mta.message({ ...ENVELOPE, body: Buffer.alloc(65535 * 40) });
    expect([result.endedAt, result.verdict]).toStrictEqual(['eom', 'reject']);
    expect(await filter.eventsOf('body')).toHaveLength(12);
    expect(await filter.eventsOf('eom')).toStrictEqual([]);
  });

  it('many messages of many sizes in one session', async () => {
    await filter.use({ handlers: { header: {}, eoh: {}, body: {}, eom: {} } });
    await using mta = await filter.greeted();
    for (const size of [0, 1, 65534, 65535, 65536, 262143, 262144, 262145, 131070, 500_000]) {
      const body = randomBytes(size);
      expect((await mta.message({ ...ENVELOPE, headers: [['X-Size', String(size)]], body })).verdict).toBe(
        'continue',
      );
      const told = await filter.eventsOf('header', 'eoh', 'body', 'eom');
      expect(told[0]).toStrictEqual(['header', 'X-Size', String(size)]);
      const chunks = told.filter(([name]) => name === 'body').map(([, chunk]) => chunk as Buffer);
      expectThat(Buffer.compare(Buffer.concat(chunks), body), String(size)).toBe(0);
      expect(told).toHaveLength(3 + chunks.length);
    }
  });
});
