/** Contract 11, 12: noreply and nocallback at run time, on real decorators and on static fields. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
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

describe('marks', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('scripted');
  });
  after(() => filter?.stop());

  for (const immediate of [false, true]) {
    describe(`contract 11: noreply${immediate ? ', immediate' : ''}`, () => {
      for (const handler of HANDLERS) {
        it(`${handler}: the MTA does not wait, the handler is called`, async () => {
          await filter.use({
            handlers: { [handler]: {}, eom: {} },
            statics: { noreply: [handler], immediate },
          });
          await using mta = await filter.session();
          assert.equal(mta.negotiated.protocol & NR_BITS[handler], NR_BITS[handler]);
          assert.equal((await driveTo(mta, handler)).verdict, 'noreply');
          if (handler === 'unknown') await mta.mail('<a@b.example>');
          await mta.abort();
          await mta.helo('flush');
          await mta.mail('<a@b.example>');
          await mta.rcpt('<c@d.example>');
          assert.equal((await mta.eom()).verdict, 'continue');
          assert.equal((await filter.eventsOf(handler)).length >= 1, true);
        });

        it(`${handler}: an answer other than CONTINUE is an error, and the MTA hears nothing of it`, async () => {
          await filter.use({
            handlers: { [handler]: { answer: REJECT } },
            statics: { noreply: [handler], immediate },
          });
          await using mta = await filter.session();
          assert.equal((await driveTo(mta, handler)).verdict, 'noreply');
          if (!immediate && ['header', 'eoh', 'body'].includes(handler)) await mta.eom();
          const report = await filter.report();
          assert.deepEqual([report.step, report.code], [stepOf(handler), 'ERR_MILTER_BAD_STATUS']);
          assert.match(report.message, /noreply/);
        });

        it(`${handler}: NOREPLY says the same as CONTINUE`, async () => {
          await filter.use({
            handlers: { [handler]: { answer: NOREPLY } },
            statics: { noreply: [handler], immediate },
          });
          await using mta = await filter.session();
          assert.equal((await verdictOf(mta, handler)).verdict !== 'tempfail', true);
          assert.deepEqual(await filter.eventsOf('report'), []);
        });
      }
    });
  }

  describe('contract 11: a no-reply handler where no-reply was not agreed', () => {
    for (const handler of ['connect', 'envfrom', 'envrcpt', 'data', 'unknown'] as const) {
      it(`${handler}: its answer counts`, async () => {
        // The negotiate handler asks for a reply after all.
        await filter.use({
          handlers: { negotiate: {}, [handler]: { answer: REJECT } },
          statics: { noreply: [handler] },
          options: [0x1ff, Protocol.SKIP],
        });
        await using mta = await filter.session();
        assert.equal((await driveTo(mta, handler)).verdict, 'reject');
        assert.deepEqual(await filter.eventsOf('report'), []);
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
          assert.equal((await verdictOf(mta, handler)).verdict, 'reject');
          assert.deepEqual(await filter.eventsOf('report'), []);
        });
      }
    }
  });

  describe('NOREPLY from a handler that nobody marked is CONTINUE', () => {
    for (const handler of [...HANDLERS, 'eom']) {
      for (const immediate of [false, true]) {
        it(`${handler}${immediate ? ', immediate' : ''}`, async () => {
          await filter.use({ handlers: { [handler]: { answer: NOREPLY } }, statics: { immediate } });
          await using mta = await filter.session({ timeout: 2000 });
          assert.equal((await verdictOf(mta, handler)).verdict, 'continue');
          assert.deepEqual(await filter.eventsOf('report'), []);
        });
      }
    }
  });

  describe('an MTA that knows no "no reply": libmilter answers CONTINUE for marked handlers', () => {
    for (const handler of HANDLERS) {
      it(handler, async () => {
        await filter.use({ handlers: { [handler]: {} }, statics: { noreply: [handler] } });
        await using mta = await filter.session({ protocol: 0x7ff });
        assert.equal(mta.negotiated.protocol & NR_BITS[handler] & ~0x80, 0);
        const { verdict } = await driveTo(mta, handler);
        assert.equal(verdict, handler === 'header' ? 'noreply' : 'continue');
        if (handler === 'header') await mta.eom();
      });
    }
  });

  describe('contract 11: nocallback', () => {
    for (const handler of HANDLERS) {
      it(`${handler} is not called`, async () => {
        await filter.use({
          handlers: { [handler]: { answer: REJECT } },
          statics: { nocallback: [handler] },
        });
        await using mta = await filter.session();
        assert.equal((await driveTo(mta, handler)).verdict, 'skipped');
        assert.deepEqual(await filter.eventsOf(handler), []);
      });

      it(`${handler}: where an MTA calls it all the same, it may answer CONTINUE only`, async () => {
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
          assert.equal(verdict, code ? 'tempfail' : 'continue');
          assert.equal((await filter.eventsOf(handler)).length, 1);
          if (code) assert.equal((await filter.report()).code, code);
        }
      });
    }
  });

  describe('contract 12: decorators, and classes that override', () => {
    let decorated: FilterProcess;
    before(async () => {
      decorated = await FilterProcess.start('decorated');
    });
    after(() => decorated?.stop());

    const message = { ...ENVELOPE, headers: [['Subject', 'x']] } as const;

    it('a decorated class', async () => {
      await decorated.use('Decorated');
      await using mta = await decorated.session();
      const { protocol, symlists } = mta.negotiated;
      assert.equal(protocol & Protocol.NOHELO, Protocol.NOHELO);
      assert.equal(protocol & Protocol.NR_CONN, Protocol.NR_CONN);
      assert.equal(protocol & Protocol.RCPT_REJ, Protocol.RCPT_REJ);
      assert.equal(protocol & Protocol.HDR_LEADSPC, Protocol.HDR_LEADSPC);
      assert.deepEqual(symlists, { mail: ['i', '{auth_authen}'], eom: ['{msg_id}', '{mail_addr}'] });
      assert.equal((await mta.connect('client.example')).verdict, 'noreply');
      assert.equal((await mta.helo('client.example')).verdict, 'skipped');
      await mta.message(message);
      assert.deepEqual(await decorated.events(), [
        ['connect', 'client.example', 0, null],
        ['envfrom', Buffer.from('<alice@client.example>')],
        ['header', 'Subject', ' x'],
        ['eom', null, null, null],
      ]);
    });

    it('a subclass that overrides a nocallback and a noreply method without marks', async () => {
      for (const name of ['Decorated', 'Overriding', 'Decorated']) {
        await decorated.use(name);
        await using mta = await decorated.session();
        const { protocol } = mta.negotiated;
        assert.equal(protocol & Protocol.NOHELO, name === 'Overriding' ? 0 : Protocol.NOHELO);
        await mta.connect('client.example');
        assert.equal((await mta.helo('x')).verdict, name === 'Overriding' ? 'reject' : 'skipped');
        // Marks of the class are inherited.
        assert.equal(protocol & Protocol.HDR_LEADSPC, Protocol.HDR_LEADSPC);
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
      assert.deepEqual([result.endedAt, result.verdict], ['header', 'reject']);
    });
  });
});
