/** handlerTimeout: the exception policy answers in place of a handler that takes too long, and of a JS thread that is stuck. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONTINUE, REJECT, TEMPFAIL } from 'tsmilter';
import type { ToldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { DEFERRED_HANDLERS, driveTo, PROMPT_HANDLERS, verdictOf } from './drive.js';

const TIMEOUT = 100;
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
      it(`${handler}: the policy answers with its text; the signal and the hook get the reason; the late answer is reported`, async () => {
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

    it('actions after the timeout throw ERR_MILTER_BAD_CONTEXT', async () => {
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

    it('the time limit applies to each handler, also within a batch', async () => {
      await filter.use({ handlers: { header: { wait: TIMEOUT / 2 }, eom: {} } });
      await using mta = await filter.greeted();
      // Together they take longer than the native side would wait for one.
      const headers = Array.from({ length: 30 }, (_, i) => ['X-A', String(i)] as const);
      expect((await mta.message({ ...ENVELOPE, headers })).verdict).toBe('continue');
      expect(await filter.eventsOf('header')).toHaveLength(30);
      expect(await filter.eventsOf('report')).toStrictEqual([]);
    });

    it('the signal of a handler that answers in time is not aborted', async () => {
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

    it('after a timeout the session continues with its next message', async () => {
      await filter.use({ handlers: { eom: [{ gate: 'g' }, { call: [['addheader', 'X-A', '1']] }] } });
      await using mta = await filter.greeted();
      expect((await mta.message(ENVELOPE)).verdict).toBe('tempfail');
      const { verdict, modifications } = await mta.message(ENVELOPE);
      expect(verdict).toBe('continue');
      expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: '1' }]);
      await filter.request('open', 'g');
    });

    it('negotiate: the whole offer is accepted', async () => {
      await filter.use({ handlers: { negotiate: { gate: 'g' }, envfrom: { answer: REJECT } } });
      await using mta = await filter.session();
      expect((await filter.report()).code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
      expect((await driveTo(mta, 'envfrom')).verdict).toBe('reject');
      await filter.request('open', 'g');
    });
  });

  describe('a blocked JS thread', () => {
    /** The JS thread is blocked until `free` creates this file. */
    const blockUntil = () => join(filter.directory, `free-${randomUUID()}`);
    const free = (file: string) => writeFileSync(file, '');

    for (const [handler, policy, text] of [
      ['envfrom', TEMPFAIL, POLICY_REPLY],
      ['eom', REJECT, '554 5.3.0 fixture: untrapped exception'],
      ['header', TEMPFAIL, POLICY_REPLY],
    ] as const) {
      it(`${handler}: the native side answers by the policy while the thread is still blocked`, async () => {
        await filter.request('policy', policy);
        try {
          const file = blockUntil();
          await filter.use({ handlers: { [handler]: { blockUntil: file } } });
          await using mta = await filter.session();
          const answered = verdictOf(mta, handler);
          await filter.event(handler);
          const { verdict, reply } = await answered; // the thread is still blocked
          expect([verdict, reply?.text]).toStrictEqual([policy === REJECT ? 'reject' : 'tempfail', text]);
          free(file);
          const codes = [(await filter.report()).code, (await filter.report()).code];
          expect(codes.sort()).toStrictEqual(['ERR_MILTER_HANDLER_TIMEOUT', 'ERR_MILTER_LATE_ANSWER']);
        } finally {
          await filter.request('policy', TEMPFAIL);
        }
      });
    }

    it('other sessions get answers meanwhile, and all of them work afterwards', async () => {
      await filter.use({ handlers: { hello: {}, envfrom: {} } });
      await using second = await filter.session();
      const file = blockUntil();
      await filter.use({ handlers: { hello: [{ blockUntil: file }, {}], envfrom: {} } });
      await using first = await filter.session();
      await first.connect('first.example');
      await second.connect('second.example');
      const blocked = first.helo('first.example');
      await filter.event('hello');
      const [one, two] = await Promise.all([blocked, second.mail('<a@b.example>')]);
      expect([one.verdict, two.verdict]).toStrictEqual(['tempfail', 'tempfail']);
      free(file);
      for (const mta of [first, second]) {
        await mta.helo('again.example');
        expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
      }
    });
  });

  it('0 means no limit', async () => {
    await using own = await FilterProcess.start('scripted', { options: { handlerTimeout: 0 } });
    await own.use({ handlers: { envfrom: { wait: TIMEOUT * 3 } } });
    const mta = await own.greeted();
    expect((await mta.mail('<a@b.example>')).verdict).toBe('continue');
    await mta.close();
    await own.stop();
  });
});
