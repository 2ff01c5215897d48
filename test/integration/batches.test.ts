/** Large and slow messages: events are handed over in batches, and not one is lost, doubled or out of order. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { REJECT } from 'tsmilter';
import type { MtaSession } from 'tsmilter/testing';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

async function intoMessage(mta: MtaSession): Promise<void> {
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
}

describe('batches', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('scripted');
  });
  after(() => filter?.stop());

  for (const immediate of [false, true]) {
    const mode = immediate ? ', immediate' : '';

    it(`a body of 3 MiB in chunks of 65,535 bytes${mode}`, async () => {
      const body = randomBytes(3 * 1024 * 1024);
      await filter.use({ handlers: { body: {}, eom: {} }, statics: { immediate } });
      await using mta = await filter.greeted();
      assert.equal((await mta.message({ ...ENVELOPE, body })).verdict, 'continue');
      const chunks = (await filter.eventsOf('body')).map(([, chunk]) => chunk as Buffer);
      assert.deepEqual(new Set(chunks.slice(0, -1).map((chunk) => chunk.length)), new Set([65535]));
      assert.equal(Buffer.compare(Buffer.concat(chunks), body), 0);
    });

    it(`a body in 5,000 chunks of 100 bytes${mode}`, async () => {
      const body = randomBytes(500_000);
      await filter.use({ handlers: { body: {}, eom: {} }, statics: { immediate } });
      await using mta = await filter.session({ chunkSize: 100 });
      await mta.connect('client.example');
      await mta.helo('x');
      await mta.message({ ...ENVELOPE, body });
      const chunks = (await filter.eventsOf('body')).map(([, chunk]) => chunk as Buffer);
      assert.equal(chunks.length, 5000);
      assert.equal(Buffer.compare(Buffer.concat(chunks), body), 0);
    });

    it(`${immediate ? '1,000' : '10,000'} headers${mode}`, async () => {
      const headers = Array.from(
        { length: immediate ? 1000 : 10_000 },
        (_, i) => [`X-${i}`, 'v'.repeat(i % 97)] as const,
      );
      await filter.use({ handlers: { header: {}, eoh: {}, eom: {} }, statics: { immediate } });
      await using mta = await filter.greeted();
      assert.equal((await mta.message({ ...ENVELOPE, headers })).verdict, 'continue');
      const told = await filter.eventsOf('header', 'eoh', 'eom');
      assert.deepEqual(
        told.slice(0, -2),
        headers.map(([name, value]) => ['header', name, value]),
      );
      assert.deepEqual(told.slice(-2), [['eoh'], ['eom']]);
    });
  }

  it('256 KiB are handed over without waiting for the end', async () => {
    await filter.use({ handlers: { header: {}, body: {}, eom: {} } });
    await using mta = await filter.greeted();
    await intoMessage(mta);
    await mta.header('Subject', 'x');
    await mta.body(Buffer.alloc(65535 * 5));
    assert.deepEqual(await filter.event('header'), ['header', 'Subject', 'x']);
    // With the header, four chunks are more than 256 KiB; the fifth begins the next batch.
    for (let i = 0; i < 4; i++) await filter.event('body');
    assert.equal((await mta.eom()).verdict, 'continue');
    assert.deepEqual(
      (await filter.events()).map(([name]) => name),
      ['new', 'body', 'eom'],
    );
  });

  it('a message that dribbles in is handed over as it comes: 20 ms after its first event, with the next', async () => {
    await filter.use({ handlers: { header: {}, eom: {} } });
    await using mta = await filter.greeted();
    await intoMessage(mta);
    const told: unknown[] = [];
    let sent = 0;
    while (told.length === 0) {
      assert.ok(sent < 100, 'no header was handed over, 30 ms apart, before the end of the message');
      await mta.header('X-Number', String(sent++));
      await sleep(30); // the age that is the point here
      told.push(...(await filter.eventsOf('header')));
    }
    assert.equal((await mta.eom()).verdict, 'continue');
    told.push(...(await filter.eventsOf('header')));
    assert.deepEqual(
      told,
      Array.from({ length: sent }, (_, i) => ['header', 'X-Number', String(i)]),
    );
  });

  it('an async handler in each batch: nothing overtakes it', async () => {
    const body = randomBytes(1_200_000);
    await filter.use({ handlers: { header: { wait: 1 }, body: { wait: 1 }, eom: { wait: 1 } } });
    await using mta = await filter.greeted();
    const headers = Array.from({ length: 50 }, (_, i) => ['X-Number', String(i)] as const);
    assert.equal((await mta.message({ ...ENVELOPE, headers, body })).verdict, 'continue');
    const told = await filter.eventsOf('header', 'body', 'eom');
    assert.deepEqual(
      told.slice(0, 50).map(([, , value]) => value),
      headers.map(([, value]) => value),
    );
    assert.equal(told.at(-1)?.[0], 'eom');
    assert.equal(
      Buffer.compare(Buffer.concat(told.slice(50, -1).map(([, chunk]) => chunk as Buffer)), body),
      0,
    );
  });

  it('a verdict in the third batch: the rest of the body is not shown, the verdict comes at the end', async () => {
    await filter.use({ handlers: { body: [...Array(11).fill({}), { answer: REJECT }], eom: {} } });
    await using mta = await filter.greeted();
    const result = await mta.message({ ...ENVELOPE, body: Buffer.alloc(65535 * 40) });
    assert.deepEqual([result.endedAt, result.verdict], ['eom', 'reject']);
    assert.equal((await filter.eventsOf('body')).length, 12);
    assert.deepEqual(await filter.eventsOf('eom'), []);
  });

  it('many messages of many sizes in one session', async () => {
    await filter.use({ handlers: { header: {}, eoh: {}, body: {}, eom: {} } });
    await using mta = await filter.greeted();
    for (const size of [0, 1, 65534, 65535, 65536, 262143, 262144, 262145, 131070, 500_000]) {
      const body = randomBytes(size);
      assert.equal(
        (await mta.message({ ...ENVELOPE, headers: [['X-Size', String(size)]], body })).verdict,
        'continue',
      );
      const told = await filter.eventsOf('header', 'eoh', 'body', 'eom');
      assert.deepEqual(told[0], ['header', 'X-Size', String(size)]);
      const chunks = told.filter(([name]) => name === 'body').map(([, chunk]) => chunk as Buffer);
      assert.equal(Buffer.compare(Buffer.concat(chunks), body), 0, String(size));
      assert.equal(told.length, 3 + chunks.length);
    }
  });
});
