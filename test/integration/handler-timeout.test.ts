/** handlerTimeout: a handler that takes too long is answered for by the exception policy; so is a JS thread that is stuck. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONTINUE, REJECT, TEMPFAIL } from 'tsmilter';
import type { ToldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { DEFERRED_HANDLERS, driveTo, PROMPT_HANDLERS, verdictOf } from './drive.js';

const TIMEOUT = 100;
/** How long after its handler's time the native side gives up on a thread that is stuck (lib/runtime/runtime.ts). */
const GRACE = 1000;
const POLICY_REPLY = '451 4.3.0 fixture: untrapped exception';

describe('handlerTimeout', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted', { options: { handlerTimeout: TIMEOUT } });
  });
  afterAll(() => filter?.stop());

  const stepOf = (handler: string) => (handler === 'hello' ? 'helo' : handler);

  describe('an async handler', () => {
    for (const handler of [...PROMPT_HANDLERS, ...DEFERRED_HANDLERS]) {
      it(`${handler}: the policy answers with its text; signal and hook say why; the late answer is reported`, async () => {
        await filter.use({ handlers: { [handler]: { gate: handler, watchSignal: true } } });
        await using mta = await filter.session();
        const { verdict, reply } = await verdictOf(mta, handler);
        expect(verdict).toBe('tempfail');
        const report = await filter.report();
        expect([report.step, report.code]).toStrictEqual([stepOf(handler), 'ERR_MILTER_HANDLER_TIMEOUT']);
        expect(report.message).toMatch(new RegExp(`${stepOf(handler)} did not answer within ${TIMEOUT} ms`));
        const [, where, reason] = await filter.event('aborted');
        expect([where, (reason as ToldError).code]).toStrictEqual([handler, 'ERR_MILTER_HANDLER_TIMEOUT']);
        await filter.request('open', handler);
        const late = await filter.report();
        expect([late.step, late.code]).toStrictEqual([stepOf(handler), 'ERR_MILTER_LATE_ANSWER']);
        expect(reply?.text).toBe(POLICY_REPLY);
      });
    }

    for (const [name, policy, expected] of [
      ['REJECT', REJECT, { verdict: 'reject', text: '554 5.3.0 fixture: untrapped exception' }],
      ['CONTINUE', CONTINUE, { verdict: 'continue', text: undefined }],
    ] as const) {
      it(`with ${name} as policy`, async () => {
        await filter.request('policy', policy);
        try {
          await filter.use({ handlers: { envfrom: { gate: 'g' } } });
          await using mta = await filter.session();
          const { verdict, reply } = await driveTo(mta, 'envfrom');
          expect({ verdict, text: reply?.text }).toStrictEqual(expected);
          await filter.request('open', 'g');
        } finally {
          await filter.request('policy', TEMPFAIL);
        }
      });
    }

    it('what it does after its time has no effect: its actions throw bad context', async () => {
      await filter.use({
        handlers: {
          eom: {
            call: [['addheader', 'X-Early', '1']],
            gate: 'eom',
            afterwards: [
              ['addheader', 'X-Late', '1'],
              ['setreply', '550', '5.7.1', 'late'],
              ['getsymval', 'i'],
            ],
          },
        },
      });
      await using mta = await filter.greeted();
      expect((await mta.message(ENVELOPE)).verdict).toBe('tempfail');
      await filter.request('open', 'eom');
      for (const method of ['addheader', 'setreply', 'getsymval']) {
        const [, what, error] = await filter.event('error');
        expect([what, (error as ToldError).code]).toStrictEqual([method, 'ERR_MILTER_BAD_CONTEXT']);
      }
    });

    it('a late answer does not answer the next step', async () => {
      await filter.use({
        handlers: { envfrom: [{ gate: 'first', answer: REJECT }, { gate: 'second' }] },
      });
      await using mta = await filter.greeted();
      expect((await mta.mail('<first@b.example>')).verdict).toBe('tempfail');
      expect((await filter.report()).code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
      const second = mta.mail('<second@b.example>');
      await filter.event('envfrom');
      await filter.event('envfrom');
      await filter.request('open', 'first');
      expect((await filter.report()).code).toBe('ERR_MILTER_LATE_ANSWER');
      await filter.request('open', 'second');
      expect((await second).verdict).toBe('continue');
    });

    it('late rejections are reported, not fatal', async () => {
      await filter.use({ handlers: { envfrom: [{ gate: 'g', throws: 'too late' }, {}] } });
      await using mta = await filter.greeted();
      expect((await mta.mail('<a@b.example>')).verdict).toBe('tempfail');
      expect((await filter.report()).code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
      await filter.request('open', 'g');
      const late = await filter.report();
      expect(late.code).toBe('ERR_MILTER_LATE_ANSWER');
      expectThat(late.cause, 'the error is not lost').toBe('too late');
      expect((await mta.mail('<b@b.example>')).verdict).toBe('continue');
    });

    it('each handler has its own time, also within a batch', async () => {
      await filter.use({ handlers: { header: { wait: TIMEOUT / 2 }, eom: {} } });
      await using mta = await filter.greeted();
      // Together they take longer than the native side would wait for one.
      const headers = Array.from({ length: 30 }, (_, i) => ['X-A', String(i)] as const);
      expect((await mta.message({ ...ENVELOPE, headers })).verdict).toBe('continue');
      expect(await filter.eventsOf('header')).toHaveLength(30);
      expect(await filter.eventsOf('report')).toStrictEqual([]);
    });

    it('one that answers in time hears nothing of it', async () => {
      await filter.use({ handlers: { envfrom: { wait: 1, watchSignal: true } } });
      await using mta = await filter.greeted();
      expect((await mta.mail('<a@b.example>')).verdict).toBe('continue');
      // A second session's timeout is later than the first one's would have been.
      await filter.use({ handlers: { hello: { gate: 'never' } } });
      await using other = await filter.session();
      expect((await driveTo(other, 'hello')).verdict).toBe('tempfail');
      expect(await filter.eventsOf('aborted')).toStrictEqual([]);
      expect(await filter.eventsOf('report')).toHaveLength(1);
      await filter.request('open', 'never');
    });

    it('the session that ran out of time goes on with its next message', async () => {
      await filter.use({ handlers: { eom: [{ gate: 'g' }, { call: [['addheader', 'X-A', '1']] }] } });
      await using mta = await filter.greeted();
      expect((await mta.message(ENVELOPE)).verdict).toBe('tempfail');
      const { verdict, modifications } = await mta.message(ENVELOPE);
      expect(verdict).toBe('continue');
      expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: '1' }]);
      await filter.request('open', 'g');
    });

    it('negotiate: the offer stays as it is', async () => {
      await filter.use({ handlers: { negotiate: { gate: 'g' }, envfrom: { answer: REJECT } } });
      await using mta = await filter.session();
      expect((await filter.report()).code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
      expect((await driveTo(mta, 'envfrom')).verdict).toBe('reject');
      await filter.request('open', 'g');
    });
  });

  describe('a JS thread that is stuck', () => {
    const stuck = TIMEOUT + GRACE + 1000;

    for (const [handler, policy, text] of [
      ['envfrom', TEMPFAIL, POLICY_REPLY],
      ['eom', REJECT, '554 5.3.0 fixture: untrapped exception'],
      ['header', TEMPFAIL, POLICY_REPLY],
    ] as const) {
      it(`${handler}: the native side answers by the policy while the thread is still stuck`, async () => {
        await filter.request('policy', policy);
        try {
          await filter.use({ handlers: { [handler]: { block: stuck } } });
          await using mta = await filter.session();
          const answered = verdictOf(mta, handler);
          await filter.event(handler);
          // The thread can answer this only when it is free again.
          let free = false;
          const freed = filter.request('sync').then(() => {
            free = true;
          });
          const { verdict, reply } = await answered;
          expectThat(free, 'answered before the thread was free').toBe(false);
          expect([verdict, reply?.text]).toStrictEqual([policy === REJECT ? 'reject' : 'tempfail', text]);
          await freed;
          const codes = [(await filter.report()).code, (await filter.report()).code];
          expect(codes.sort()).toStrictEqual(['ERR_MILTER_HANDLER_TIMEOUT', 'ERR_MILTER_LATE_ANSWER']);
        } finally {
          await filter.request('policy', TEMPFAIL);
        }
      });
    }

    it('other sessions that ask meanwhile are answered too, and all of them work afterwards', async () => {
      await filter.use({ handlers: { hello: {}, envfrom: {} } });
      await using second = await filter.session();
      await filter.use({ handlers: { hello: [{ block: stuck }, {}], envfrom: {} } });
      await using first = await filter.session();
      await first.connect('first.example');
      await second.connect('second.example');
      const blocked = first.helo('first.example');
      await filter.event('hello');
      const [one, two] = await Promise.all([blocked, second.mail('<a@b.example>')]);
      expect([one.verdict, two.verdict]).toStrictEqual(['tempfail', 'tempfail']);
      for (const mta of [first, second]) {
        await mta.helo('again.example');
        expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
      }
    });
  });

  it('0 is for ever: longer than the default of this suite', async () => {
    await using own = await FilterProcess.start('scripted', { options: { handlerTimeout: 0 } });
    await own.use({ handlers: { envfrom: { wait: TIMEOUT * 3 } } });
    const mta = await own.greeted();
    expect((await mta.mail('<a@b.example>')).verdict).toBe('continue');
    await mta.close();
    await own.stop();
  });
});
