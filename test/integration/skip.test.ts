/** SKIP from header and body: no more of them for this message, whether or not the MTA understands it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { REJECT, SKIP } from 'tsmilter';
import { Protocol } from 'tsmilter/testing';
import type { Acts } from '../fixtures/script.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

const ALL: Acts = { header: {}, eoh: {}, body: {}, eom: {} };
const HEADERS = Array.from({ length: 5 }, (_, i) => [`X-${i}`, String(i)] as const);
const NO_SKIP = { protocol: Protocol.ALL & ~Protocol.SKIP };

describe('SKIP', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  const called = async () => (await filter.eventsOf('header', 'eoh', 'body', 'eom')).map(([name]) => name);

  for (const [mta, offer] of [
    ['an MTA that knows it', {}],
    ['an MTA that does not', NO_SKIP],
  ] as const) {
    for (const immediate of [false, true]) {
      const where = `${mta}${immediate ? ', immediate' : ''}`;

      it(`from a header: ${where}`, async () => {
        await filter.use({
          handlers: { ...ALL, header: [{}, { answer: SKIP }, {}] },
          statics: { immediate },
        });
        await using session = await filter.greeted(offer);
        // Sent one by one: an MTA may go on with headers, as Sendmail does.
        for (let message = 0; message < 2; message++) {
          await session.mail('<a@b.example>');
          await session.rcpt('<c@d.example>');
          const verdicts: string[] = [];
          for (const [name, value] of HEADERS) verdicts.push((await session.header(name, value)).verdict);
          expect((await session.eoh()).verdict).toBe(immediate ? 'continue' : 'noreply');
          await session.body('text');
          expect((await session.eom()).verdict).toBe('continue');
          if (message === 0) {
            expect(await called()).toStrictEqual(['header', 'header', 'eoh', 'body', 'eom']);
            const second =
              immediate && mta === 'an MTA that knows it' ? 'skip' : immediate ? 'continue' : 'noreply';
            expect(verdicts[1]).toBe(second);
          } else {
            // The next message begins anew.
            expect(await called()).toStrictEqual([...HEADERS.map(() => 'header'), 'eoh', 'body', 'eom']);
          }
        }
      });

      it(`from a body chunk: ${where}`, async () => {
        await filter.use({
          handlers: { ...ALL, body: [{}, { answer: SKIP }, {}] },
          statics: { immediate },
          quiet: ['header'],
        });
        await using session = await filter.greeted(offer);
        const body = Buffer.alloc(65535 * 20);
        const first = await session.message({ ...ENVELOPE, body });
        expect([first.endedAt, first.verdict]).toStrictEqual(['eom', 'continue']);
        expect(await called()).toStrictEqual(['eoh', 'body', 'body', 'eom']);
        await session.message({ ...ENVELOPE, body });
        expect(await called()).toStrictEqual(['eoh', ...Array(20).fill('body'), 'eom']);
      });

      it(`from the only handler: ${where}`, async () => {
        await filter.use({ handlers: { body: { answer: SKIP } }, statics: { immediate } });
        await using session = await filter.greeted(offer);
        for (let i = 0; i < 3; i++) {
          expect((await session.message({ ...ENVELOPE, body: Buffer.alloc(400_000) })).verdict).toBe(
            'continue',
          );
          expect(await called()).toStrictEqual(['body']);
        }
      });

      it(`and a verdict from a later handler: ${where}`, async () => {
        await filter.use({
          handlers: { ...ALL, header: { answer: SKIP }, eoh: { answer: REJECT } },
          statics: { immediate },
        });
        await using session = await filter.greeted(offer);
        expect((await session.message({ ...ENVELOPE, headers: HEADERS, body: 'x' })).verdict).toBe('reject');
        expect(await called()).toStrictEqual(['header', 'eoh']);
      });
    }
  }

  it('an MTA that supports it gets it in immediate mode, and sends no more of the body', async () => {
    await filter.use({ handlers: { body: { answer: SKIP }, eom: {} }, statics: { immediate: true } });
    await using session = await filter.greeted();
    await session.mail('<a@b.example>');
    await session.rcpt('<c@d.example>');
    expect((await session.body(Buffer.alloc(200_000))).verdict).toBe('skip');
    expect((await session.body('more')).verdict).toBe('skipped');
    expect((await session.eom()).verdict).toBe('continue');
    expect(await called()).toStrictEqual(['body', 'eom']);
  });

  it('with the end of the message in the same command, eom is called', async () => {
    for (const immediate of [false, true]) {
      await filter.use({ handlers: { body: {}, eom: {} }, statics: { immediate } });
      await using session = await filter.greeted();
      await session.mail('<a@b.example>');
      await session.rcpt('<c@d.example>');
      await session.body('one');
      expect((await session.eom('two')).verdict).toBe('continue');
      expect(await called()).toStrictEqual(['body', 'body', 'eom']);
    }
  });
});
