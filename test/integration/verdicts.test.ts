/** Each verdict from each handler that is answered at once, and what becomes of the session after it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL } from 'tsmilter';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { driveTo, PROMPT_HANDLERS } from './drive.js';

const VERDICTS = [
  ['CONTINUE', CONTINUE, 'continue'],
  ['REJECT', REJECT, 'reject'],
  ['TEMPFAIL', TEMPFAIL, 'tempfail'],
  ['ACCEPT', ACCEPT, 'accept'],
  ['DISCARD', DISCARD, 'discard'],
] as const;
const MESSAGE = { ...ENVELOPE, headers: [['Subject', 'x']] as const, body: 'text' };

describe('verdicts', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  for (const handler of PROMPT_HANDLERS) {
    for (const [name, answer, meant] of VERDICTS) {
      // They say nothing about a command, and Postfix breaks off in the session's next message.
      const means = handler === 'unknown' && (meant === 'accept' || meant === 'discard') ? 'continue' : meant;
      it(`${handler}: ${name} is answered immediately`, async () => {
        for (const act of [{ answer }, { answer, wait: 1 }]) {
          await filter.use({ handlers: { [handler]: act, header: {}, close: {} } });
          await using mta = await filter.session();
          expect(await driveTo(mta, handler)).toStrictEqual({ verdict: means });
          await mta.close();
          await filter.event('close');
        }
      });
    }
  }

  for (const handler of ['envfrom', 'envrcpt', 'data', 'eom'] as const) {
    for (const [name, answer, verdict] of VERDICTS) {
      it(`after ${name} from ${handler} the next message of the session starts afresh`, async () => {
        await filter.use({
          handlers: {
            [handler]: [{ answer }, {}],
            header: {},
            body: {},
            ...(handler === 'eom' ? {} : { eom: {} }),
          },
        });
        await using mta = await filter.greeted();
        const first = await mta.message(MESSAGE);
        expect(first.verdict).toBe(verdict);
        await filter.events();
        expect((await mta.message(MESSAGE)).verdict).toBe('continue');
        const told = (await filter.events()).map(([event]) => event);
        expect(told).toStrictEqual(
          handler === 'eom' ? ['header', 'body', 'eom'] : [handler, 'header', 'body', 'eom'],
        );
      });
    }
  }

  it('neither a refused recipient nor an unknown command ends the message', async () => {
    await filter.use({
      handlers: {
        envrcpt: [{ answer: REJECT }, {}, { answer: TEMPFAIL }],
        unknown: { answer: REJECT },
        header: {},
        eom: { call: [['addheader', 'X-A', '1']] },
      },
    });
    await using mta = await filter.greeted();
    await mta.mail('<a@b.example>');
    expect((await mta.rcpt('<one@d.example>')).verdict).toBe('reject');
    expect((await mta.rcpt('<two@d.example>')).verdict).toBe('continue');
    expect((await mta.unknown('XYZZY')).verdict).toBe('reject');
    expect((await mta.rcpt('<three@d.example>')).verdict).toBe('tempfail');
    await mta.header('Subject', 'x');
    const { verdict, modifications } = await mta.eom();
    expect([verdict, modifications.length]).toStrictEqual(['continue', 1]);
    expect(await filter.eventsOf('header')).toHaveLength(1);
  });

  it('HELO again within a session, and within a message', async () => {
    await filter.use({ handlers: { hello: {}, envfrom: {}, abort: {}, header: {}, eom: {} } });
    await using mta = await filter.greeted();
    await mta.helo('second.example');
    await mta.mail('<a@b.example>');
    await mta.abort();
    await mta.helo('third.example');
    expect((await mta.message(MESSAGE)).verdict).toBe('continue');
    expect((await filter.events()).map(([name]) => name)).toStrictEqual([
      'new',
      'hello',
      'hello',
      'envfrom',
      'abort',
      'hello',
      'envfrom',
      'header',
      'eom',
    ]);
  });
});
