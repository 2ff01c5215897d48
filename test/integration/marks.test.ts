/** Contract 11, 12: noreply and nocallback at run time, on real decorators and on static fields. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONTINUE, NOREPLY, REJECT } from 'tsmilter';
import { Protocol } from 'tsmilter/testing';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { driveTo, verdictOf } from './drive.js';

const NR_BITS = {
  connect: Protocol.NR_CONN,
  hello: Protocol.NR_HELO,
  envfrom: Protocol.NR_MAIL,
  envrcpt: Protocol.NR_RCPT,
  data: Protocol.NR_DATA,
  unknown: Protocol.NR_UNKN,
  header: Protocol.NR_HDR,
  eoh: Protocol.NR_EOH,
  body: Protocol.NR_BODY,
} as const;
const HANDLERS = Object.keys(NR_BITS) as (keyof typeof NR_BITS)[];
const stepOf = (handler: string) => (handler === 'hello' ? 'helo' : handler);

describe('decorators and static fields', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  for (const immediate of [false, true]) {
    /** @contract 11 */
    describe(`noreply${immediate ? ', immediate' : ''}`, () => {
      for (const handler of HANDLERS) {
        it(`${handler}: the MTA does not wait, the handler is called`, async () => {
          await filter.use({
            handlers: { [handler]: {}, eom: {} },
            statics: { noreply: [handler], immediate },
          });
          await using mta = await filter.session();
          expect(mta.negotiated.protocol & NR_BITS[handler]).toBe(NR_BITS[handler]);
          expect((await driveTo(mta, handler)).verdict).toBe('noreply');
          if (handler === 'unknown') await mta.mail('<a@b.example>');
          await mta.abort();
          await mta.helo('flush');
          await mta.mail('<a@b.example>');
          await mta.rcpt('<c@d.example>');
          expect((await mta.eom()).verdict).toBe('continue');
          expect((await filter.eventsOf(handler)).length >= 1).toBe(true);
        });

        it(`${handler}: an answer other than CONTINUE is an error, and the MTA gets no reply`, async () => {
          await filter.use({
            handlers: { [handler]: { answer: REJECT } },
            statics: { noreply: [handler], immediate },
          });
          await using mta = await filter.session();
          expect((await driveTo(mta, handler)).verdict).toBe('noreply');
          if (!immediate) await mta.quit(); // what was collected is handed over at the latest then
          const report = await filter.report();
          expect([report.step, report.code]).toStrictEqual([stepOf(handler), 'ERR_MILTER_BAD_STATUS']);
          expect(report.message).toMatch(/noreply/);
        });

        it(`${handler}: NOREPLY means the same as CONTINUE`, async () => {
          await filter.use({
            handlers: { [handler]: { answer: NOREPLY } },
            statics: { noreply: [handler], immediate },
          });
          await using mta = await filter.session();
          expect((await verdictOf(mta, handler)).verdict !== 'tempfail').toBe(true);
          expect(await filter.eventsOf('report')).toStrictEqual([]);
        });
      }
    });
  }

  /** @contract 11 */
  describe('a @noreply handler whose no-reply bit was not negotiated', () => {
    for (const handler of ['connect', 'envfrom', 'envrcpt', 'data', 'unknown'] as const) {
      it(`${handler}: its answer counts`, async () => {
        // The negotiate handler asks for a reply after all.
        await filter.use({
          handlers: { negotiate: {}, [handler]: { answer: REJECT } },
          statics: { noreply: [handler] },
          options: [0x1ff, Protocol.SKIP],
        });
        await using mta = await filter.session();
        expect((await driveTo(mta, handler)).verdict).toBe('reject');
        expect(await filter.eventsOf('report')).toStrictEqual([]);
      });
    }

    for (const handler of ['header', 'eoh', 'body'] as const) {
      for (const immediate of [false, true]) {
        it(`${handler}${immediate ? ', immediate' : ''}: its answer counts`, async () => {
          await filter.use({
            handlers: { negotiate: {}, [handler]: { answer: REJECT } },
            statics: { noreply: [handler], immediate },
            options: [0x1ff, Protocol.SKIP],
          });
          await using mta = await filter.session();
          expect((await verdictOf(mta, handler)).verdict).toBe('reject');
          expect(await filter.eventsOf('report')).toStrictEqual([]);
        });
      }
    }
  });

  describe('NOREPLY from a handler without @noreply is CONTINUE', () => {
    for (const handler of [...HANDLERS, 'eom']) {
      for (const immediate of [false, true]) {
        it(`${handler}${immediate ? ', immediate' : ''}`, async () => {
          await filter.use({ handlers: { [handler]: { answer: NOREPLY } }, statics: { immediate } });
          await using mta = await filter.session();
          expect((await verdictOf(mta, handler)).verdict).toBe('continue');
          expect(await filter.eventsOf('report')).toStrictEqual([]);
        });
      }
    }
  });

  describe('an MTA without no-reply bits: libmilter answers CONTINUE for @noreply handlers', () => {
    for (const handler of HANDLERS) {
      it(handler, async () => {
        await filter.use({ handlers: { [handler]: {} }, statics: { noreply: [handler] } });
        await using mta = await filter.session({ protocol: 0x7ff });
        expect(mta.negotiated.protocol & NR_BITS[handler] & ~0x80).toBe(0);
        const { verdict } = await driveTo(mta, handler);
        expect(verdict).toBe(handler === 'header' ? 'noreply' : 'continue');
        if (handler === 'header') await mta.eom();
      });
    }
  });

  /** @contract 11 */
  describe('nocallback', () => {
    for (const handler of HANDLERS) {
      it(`${handler} is not called`, async () => {
        await filter.use({
          handlers: { [handler]: { answer: REJECT } },
          statics: { nocallback: [handler] },
        });
        await using mta = await filter.session();
        expect((await driveTo(mta, handler)).verdict).toBe('skipped');
        expect(await filter.eventsOf(handler)).toStrictEqual([]);
      });

      it(`${handler}: if the MTA sends the step anyway, only CONTINUE is a valid answer`, async () => {
        for (const [answer, code] of [
          [CONTINUE, undefined],
          [REJECT, 'ERR_MILTER_BAD_STATUS'],
        ] as const) {
          await filter.use({
            handlers: { negotiate: { answer: 10 }, [handler]: { answer } },
            statics: { nocallback: [handler] },
          });
          await using mta = await filter.session();
          const { verdict } = await verdictOf(mta, handler);
          expect(verdict).toBe(code ? 'tempfail' : 'continue');
          expect(await filter.eventsOf(handler)).toHaveLength(1);
          if (code) expect((await filter.report()).code).toBe(code);
        }
      });
    }
  });

  /** @contract 12 */
  describe('decorated classes and their subclasses', () => {
    let decorated: FilterProcess;
    beforeAll(async () => {
      decorated = await FilterProcess.start('decorated');
    });
    afterAll(() => decorated?.stop());

    const message = { ...ENVELOPE, headers: [['Subject', 'x']] } as const;

    it('a decorated class', async () => {
      await decorated.use('Decorated');
      await using mta = await decorated.session();
      const { protocol, symlists } = mta.negotiated;
      expect(protocol & Protocol.NOHELO).toBe(Protocol.NOHELO);
      expect(protocol & Protocol.NR_CONN).toBe(Protocol.NR_CONN);
      expect(protocol & Protocol.RCPT_REJ).toBe(Protocol.RCPT_REJ);
      expect(protocol & Protocol.HDR_LEADSPC).toBe(Protocol.HDR_LEADSPC);
      expect(symlists).toStrictEqual({ mail: ['i', '{auth_authen}'], eom: ['{msg_id}', '{mail_addr}'] });
      expect((await mta.connect('client.example')).verdict).toBe('noreply');
      expect((await mta.helo('client.example')).verdict).toBe('skipped');
      await mta.message(message);
      expect(await decorated.events()).toStrictEqual([
        ['connect', 'client.example', 0, null],
        ['envfrom', Buffer.from('<alice@client.example>')],
        ['header', 'Subject', ' x'],
        ['eom', null, null, null],
      ]);
    });

    it('a subclass that overrides a @nocallback and a @noreply method without decorators', async () => {
      for (const name of ['Decorated', 'Overriding', 'Decorated']) {
        await decorated.use(name);
        await using mta = await decorated.session();
        const { protocol } = mta.negotiated;
        expect(protocol & Protocol.NOHELO).toBe(name === 'Overriding' ? 0 : Protocol.NOHELO);
        await mta.connect('client.example');
        expect((await mta.helo('x')).verdict).toBe(name === 'Overriding' ? 'reject' : 'skipped');
        // Marks of the class are inherited.
        expect(protocol & Protocol.HDR_LEADSPC).toBe(Protocol.HDR_LEADSPC);
      }
    });

    it('immediate as a decorator', async () => {
      await decorated.use('Immediate');
      await using mta = await decorated.greeted();
      const result = await mta.message({
        ...ENVELOPE,
        headers: [
          ['X-Spam', 'yes'],
          ['Subject', 'not sent'],
        ],
      });
      expect([result.endedAt, result.verdict]).toStrictEqual(['header', 'reject']);
    });
  });
});
