/** Contract 9: what becomes of a message whose handler fails, in every handler, for every policy. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, ALL_OPTS, CONTINUE, REJECT, SKIP, TEMPFAIL } from 'tsmilter';
import type { Response } from 'tsmilter/testing';
import type { Act } from '../fixtures/script.js';
import { errorWith, expectThat } from '../support/expect.js';
import { FilterProcess } from '../support/filter-process.js';
import { DEFERRED_HANDLERS, driveTo, PROMPT_HANDLERS, verdictOf } from './drive.js';

const TEXT = 'fixture: untrapped exception';

const POLICIES: [name: string, policy: number, expected: Response][] = [
  [
    'TEMPFAIL',
    TEMPFAIL,
    {
      verdict: 'tempfail',
      reply: { code: '451', xcode: '4.3.0', lines: [TEXT], text: `451 4.3.0 ${TEXT}` },
    },
  ],
  [
    'REJECT',
    REJECT,
    { verdict: 'reject', reply: { code: '554', xcode: '5.3.0', lines: [TEXT], text: `554 5.3.0 ${TEXT}` } },
  ],
  ['CONTINUE', CONTINUE, { verdict: 'continue' }],
  ['ACCEPT', ACCEPT, { verdict: 'accept' }],
];

const FAILURES: [title: string, act: Act, code: string | undefined, message: RegExp][] = [
  ['throws', { throws: 'oops' }, undefined, /^oops$/],
  ['rejects', { wait: 0, throws: 'oops later' }, undefined, /^oops later$/],
  ['answers undefined', { answer: undefined }, 'ERR_MILTER_BAD_STATUS', /answered undefined/],
];

/** Failures that differ only in the value. */
const ODD_ANSWERS: [title: string, act: Act, message: RegExp][] = [
  ['null', { answer: null }, /answered null/],
  ['a promise of undefined', { wait: 0, answer: undefined }, /answered undefined/],
  ['a name in place of a status', { answer: 'CONTINUE' }, /answered CONTINUE/],
  ['a number that is no status', { answer: 99 }, /answered 99/],
  ['a number below', { answer: -1 }, /answered -1/],
  ['a fraction', { answer: 0.5 }, /answered 0\.5/],
  ['NaN', { answer: Number.NaN }, /answered NaN/],
  ['true', { answer: true }, /answered true/],
  ['an object', { answer: { status: CONTINUE } }, /answered an object/],
  ['ALL_OPTS outside negotiate', { answer: ALL_OPTS }, /answered 10/],
];

/** @contract 9 */
describe('the exception policy', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  for (const [policyName, policy, expected] of POLICIES) {
    describe(policyName, () => {
      beforeAll(() => filter.request('policy', policy));
      afterAll(() => filter.request('policy', TEMPFAIL));

      for (const [title, act, code, message] of FAILURES) {
        for (const handler of [...PROMPT_HANDLERS, ...DEFERRED_HANDLERS]) {
          for (const immediate of handler === 'header' ? [false, true] : [false]) {
            it(`${handler} ${title}${immediate ? ', immediate' : ''}`, async () => {
              await filter.use({ handlers: { [handler]: act }, statics: { immediate } });
              await using mta = await filter.session();
              // ACCEPT says nothing about a command, and Postfix breaks off in the session's next message.
              const meant = handler === 'unknown' && policy === ACCEPT ? { verdict: 'continue' } : expected;
              expect(await verdictOf(mta, handler)).toStrictEqual(meant);
              const report = await filter.report();
              expect(report.step).toBe(handler === 'hello' ? 'helo' : handler);
              expect(report.code).toBe(code);
              expect(report.message).toMatch(message);
              expect(await filter.eventsOf('report')).toStrictEqual([]);
            });
          }
        }
      }
    });
  }

  for (const [title, act, message] of ODD_ANSWERS) {
    it(`${title} is not a status`, async () => {
      for (const handler of ['envfrom', 'header', 'eom']) {
        await filter.use({ handlers: { [handler]: act } });
        await using mta = await filter.session();
        expect((await verdictOf(mta, handler)).verdict).toBe('tempfail');
        const report = await filter.report();
        expect(report.code).toBe('ERR_MILTER_BAD_STATUS');
        expect(report.message).toMatch(message);
      }
    });
  }

  it('SKIP is a status for header and body only', async () => {
    for (const handler of [...PROMPT_HANDLERS, 'eoh']) {
      await filter.use({ handlers: { [handler]: { answer: SKIP } } });
      await using mta = await filter.session();
      expectThat((await verdictOf(mta, handler)).verdict, handler).toBe('tempfail');
      const report = await filter.report();
      expect(report.code).toBe('ERR_MILTER_BAD_STATUS');
      expect(report.message).toMatch(/answered SKIP/);
    }
  });

  it('the policy replaces a reply that the handler had set before it failed', async () => {
    await filter.use({
      handlers: { envfrom: { call: [['setreply', '452', '4.2.2', 'half done']], throws: 'oops' } },
    });
    await using mta = await filter.session();
    const { reply } = await driveTo(mta, 'envfrom');
    expect(reply?.text).toBe(`451 4.3.0 ${TEXT}`);
  });

  it('after a failure the session continues', async () => {
    await filter.use({ handlers: { envfrom: [{ throws: 'only the first' }, {}], eom: { answer: ACCEPT } } });
    await using mta = await filter.greeted();
    expect((await mta.mail('<first@b.example>')).verdict).toBe('tempfail');
    expect((await mta.mail('<second@b.example>')).verdict).toBe('continue');
    await mta.rcpt('<c@d.example>');
    expect((await mta.eom()).verdict).toBe('accept');
  });

  it('values other than errors can be thrown', async () => {
    for (const throwsValue of ['a string', undefined, null, 7]) {
      await filter.use({ handlers: { envfrom: { throwsValue } } });
      await using mta = await filter.session();
      expect((await driveTo(mta, 'envfrom')).verdict).toBe('tempfail');
      expect((await filter.report()).message).toBe(String(throwsValue));
    }
  });

  it('any other policy is refused', async () => {
    for (const policy of [SKIP, 2, 7, 99, -1, 'REJECT', undefined, null]) {
      await expect(filter.request('policy', policy)).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    }
    expect(await filter.request('policy', TEMPFAIL)).toBe(TEMPFAIL);
  });

  it('setExceptionPolicy returns the old policy and takes effect immediately, also in open sessions', async () => {
    await filter.use({ handlers: { envfrom: { throws: 'oops' } } });
    await using mta = await filter.greeted();
    expect((await mta.mail('<a@b.example>')).verdict).toBe('tempfail');
    expect(await filter.request('policy', REJECT)).toBe(TEMPFAIL);
    expect((await mta.mail('<a@b.example>')).verdict).toBe('reject');
    expect(await filter.request('policy', TEMPFAIL)).toBe(REJECT);
    expect((await mta.mail('<a@b.example>')).verdict).toBe('tempfail');
  });

  describe('reports of errors', () => {
    it('go to stderr with the stack if there is no hook', async () => {
      await using own = await FilterProcess.start('scripted', { name: 'named' });
      await own.request('hook', false);
      await own.use({ handlers: { envfrom: { throws: 'see me on stderr' } } });
      const mta = await own.session();
      const { reply } = await driveTo(mta, 'envfrom');
      expect(reply?.text).toBe('451 4.3.0 named: untrapped exception');
      await mta.close();
      await own.stop();
      expect(own.stderr).toMatch(/^named: untrapped exception in envfrom: Error: see me on stderr\n {4}at /);
    });

    it('if the hook throws, both errors go to stderr, and the filter continues', async () => {
      await using own = await FilterProcess.start('scripted');
      await own.request('brokenHook');
      await own.use({ handlers: { envfrom: { throws: 'the first error' }, hello: {} } });
      await using mta = await own.session();
      expect((await driveTo(mta, 'envfrom')).verdict).toBe('tempfail');
      expect((await mta.helo('again')).verdict).toBe('continue');
      await mta.close();
      await own.stop();
      expect(own.stderr).toMatch(/untrapped exception in the error hook: Error: the hook is broken/);
      expect(own.stderr).toMatch(/untrapped exception in envfrom: Error: the first error/);
    });

    it('a filter name of more than 40 characters is truncated in the reply; % is doubled', async () => {
      const name = `100% ${'n'.repeat(50)}`;
      await using own = await FilterProcess.start('scripted', { name });
      await own.use({ handlers: { envfrom: { throws: 'oops' } } });
      const mta = await own.session();
      const { reply } = await driveTo(mta, 'envfrom');
      expect(reply?.text).toBe(`451 4.3.0 100%% ${'n'.repeat(35)}: untrapped exception`);
      await mta.close();
      await own.stop();
    });
  });
});
