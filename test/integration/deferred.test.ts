/** Verdicts of header, eoh and body: kept for the end of the message, or given at once with `immediate`. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL } from 'tsmilter';
import type { Response } from 'tsmilter/testing';
import type { Act, Acts } from '../fixtures/script.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

const HEADERS = [
  ['From', 'alice'],
  ['Subject', 'first'],
  ['X-Last', 'last'],
] as const;
const MESSAGE = { ...ENVELOPE, headers: HEADERS, body: 'one line\r\n' };
const MULTI = ['setreply', '554', '5.7.1', 'refused', 'in several', 'lines'] as const;
const LATER = ['setreply', '452', '4.7.1', 'try later', 'please'] as const;

const VERDICTS: readonly (readonly [name: string, act: Act, expected: Response])[] = [
  [
    'REJECT',
    { call: [MULTI], answer: REJECT },
    {
      verdict: 'reject',
      reply: {
        code: '554',
        xcode: '5.7.1',
        lines: ['refused', 'in several', 'lines'],
        text: '554-5.7.1 refused\r\n554-5.7.1 in several\r\n554 5.7.1 lines',
      },
    },
  ],
  [
    'TEMPFAIL',
    { call: [LATER], answer: TEMPFAIL },
    {
      verdict: 'tempfail',
      reply: {
        code: '452',
        xcode: '4.7.1',
        lines: ['try later', 'please'],
        text: '452-4.7.1 try later\r\n452 4.7.1 please',
      },
    },
  ],
  ['REJECT without a text', { answer: REJECT }, { verdict: 'reject' }],
  ['DISCARD', { answer: DISCARD }, { verdict: 'discard' }],
  ['ACCEPT', { answer: ACCEPT }, { verdict: 'accept' }],
];

/** All that can happen in a message, told. */
const ALL: Acts = { envfrom: {}, header: {}, eoh: {}, body: {}, eom: {}, abort: {} };
const ORDER = ['header', 'header', 'header', 'eoh', 'body', 'eom'];

describe('deferred verdicts', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  const called = async () =>
    (await filter.eventsOf('envfrom', 'header', 'eoh', 'body', 'eom', 'abort')).map(([name]) => name);

  for (const handler of ['header', 'eoh', 'body'] as const) {
    for (const [name, act, expected] of VERDICTS) {
      for (const asynchronous of [false, true]) {
        const how = asynchronous ? `async ${handler}` : handler;
        const acting = asynchronous ? { ...act, wait: 1 } : act;

        it(`${how} answers ${name}: given at the end, the later handlers do not run`, async () => {
          await filter.use({ handlers: { ...ALL, [handler]: acting } });
          await using mta = await filter.greeted();
          const result = await mta.message(MESSAGE);
          expect(result.endedAt).toBe('eom');
          expect(result.response).toStrictEqual(expected);
          expect(result.modifications).toStrictEqual([]);
          expect(await called()).toStrictEqual(['envfrom', ...ORDER.slice(0, ORDER.indexOf(handler) + 1)]);
          expect(await filter.eventsOf('report', 'error')).toStrictEqual([]);
        });

        it(`${how} answers ${name}, immediate: given at once`, async () => {
          await filter.use({ handlers: { ...ALL, [handler]: acting }, statics: { immediate: true } });
          await using mta = await filter.greeted();
          const result = await mta.message(MESSAGE);
          expect(result.endedAt).toBe(handler);
          expect(result.response).toStrictEqual(expected);
          expect(await called()).toStrictEqual(['envfrom', ...ORDER.slice(0, ORDER.indexOf(handler) + 1)]);
        });
      }
    }
  }

  it('a verdict on a header in the middle: later headers are not delivered', async () => {
    await filter.use({ handlers: { ...ALL, header: [{}, { answer: REJECT }, {}] } });
    await using mta = await filter.greeted();
    expect((await mta.message(MESSAGE)).verdict).toBe('reject');
    expect(await filter.eventsOf('header', 'eoh', 'body', 'eom')).toStrictEqual([
      ['header', 'From', 'alice'],
      ['header', 'Subject', 'first'],
    ]);
  });

  it('the handlers of a message run in order, and eom may still change it', async () => {
    await filter.use({ handlers: { ...ALL, eom: { call: [['addheader', 'X-A', '1']], answer: ACCEPT } } });
    await using mta = await filter.greeted();
    const result = await mta.message(MESSAGE);
    expect(result.verdict).toBe('accept');
    expect(result.modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: '1' }]);
    expect(await called()).toStrictEqual(['envfrom', ...ORDER]);
  });

  it('an early verdict on a long message is given at its end, with its text', async () => {
    await filter.use({ handlers: { ...ALL, header: { call: [MULTI], answer: REJECT } } });
    await using mta = await filter.greeted();
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    await mta.header('Subject', 'x');
    await mta.eoh();
    expect((await mta.body(Buffer.alloc(1_000_000, 'long\r\n'))).verdict).toBe('continue');
    // The batch was full: the handler has run, and the message still goes on.
    expect(await called()).toStrictEqual(['envfrom', 'header']);
    expect((await mta.body('more\r\n')).verdict).toBe('continue');
    const { verdict, reply } = await mta.eom();
    expect([verdict, reply?.lines]).toStrictEqual(['reject', ['refused', 'in several', 'lines']]);
    expect(await called()).toStrictEqual([]);
  });

  it('with only header overridden, each of several messages gets its own verdict', async () => {
    await filter.use({ handlers: { header: [{}, { answer: REJECT }, {}, { answer: TEMPFAIL }, {}] } });
    await using mta = await filter.greeted();
    const verdicts: string[] = [];
    for (let i = 0; i < 5; i++) {
      verdicts.push((await mta.message({ ...ENVELOPE, headers: [['X-Number', String(i)]] })).verdict);
    }
    expect(verdicts).toStrictEqual(['continue', 'reject', 'continue', 'tempfail', 'continue']);
    expect((await filter.eventsOf('header')).map(([, , value]) => value)).toStrictEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
    ]);
  });

  it('without eom, the verdict of body is that of the message', async () => {
    await filter.use({ handlers: { body: [{ answer: DISCARD }, {}] } });
    await using mta = await filter.greeted();
    expect((await mta.message(MESSAGE)).verdict).toBe('discard');
    expect((await mta.message(MESSAGE)).verdict).toBe('continue');
  });

  for (const [name, act] of VERDICTS) {
    it(`after a deferred ${name} the next message of the session starts afresh`, async () => {
      await filter.use({
        handlers: { ...ALL, header: [act, {}], eom: { call: [['addheader', 'X-A', '1']] } },
      });
      await using mta = await filter.greeted();
      await mta.message({ ...MESSAGE, headers: [['X-First', '1']] });
      await called();
      const second = await mta.message(MESSAGE);
      expect(second.response).toStrictEqual({ verdict: 'continue' });
      expect(await called()).toStrictEqual(['envfrom', ...ORDER]);
      expect(second.modifications).toHaveLength(1);
    });
  }

  describe('an aborted message', () => {
    it('before its verdict is due: its handlers run, then abort', async () => {
      await filter.use({ handlers: ALL });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('Subject', 'x');
      await mta.eoh();
      await mta.abort();
      await filter.event('abort');
      expect(await called()).toStrictEqual(['envfrom', 'header', 'eoh']);
    });

    it('after a handler refused it: the next message does not get its verdict', async () => {
      await filter.use({ handlers: { ...ALL, header: [{ call: [MULTI], answer: REJECT }, {}] } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('Subject', 'x');
      await mta.body(Buffer.alloc(400_000));
      await mta.abort();
      expect((await mta.message(MESSAGE)).response).toStrictEqual({ verdict: 'continue' });
    });

    it('after a handler refused it: its text is not sent with a later refusal', async () => {
      // Another filter of the MTA refuses the message at once; this one's verdict is never sent.
      await filter.use({
        handlers: { envfrom: [{}, { answer: REJECT }], header: { call: [MULTI], answer: REJECT } },
      });
      await using mta = await filter.greeted();
      await mta.mail('<first@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('Subject', 'x');
      await mta.abort();
      expect(await mta.mail('<second@b.example>')).toStrictEqual({ verdict: 'reject' });
    });

    it('by hanging up: its handlers run, then abort and close', async () => {
      await filter.use({ handlers: { ...ALL, close: {} } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.header('Subject', 'x');
      await mta.body('x');
      mta.destroy();
      await filter.event('close');
      expect(await called()).toStrictEqual(['envfrom', 'header', 'body', 'abort']);
    });
  });

  for (const immediate of [false, true]) {
    it(`body refuses data that came with the end of the message: no eom${immediate ? ', immediate' : ''}`, async () => {
      await filter.use({
        handlers: { ...ALL, body: [{}, { call: [MULTI], answer: REJECT }, {}] },
        statics: { immediate },
      });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.rcpt('<c@d.example>');
      await mta.eoh();
      await mta.body('first\r\n');
      const { verdict, reply } = await mta.eom('last\r\n');
      expect([verdict, reply?.lines]).toStrictEqual(['reject', ['refused', 'in several', 'lines']]);
      expect(await called()).toStrictEqual(['envfrom', 'eoh', 'body', 'body']);
      expect((await mta.message(MESSAGE)).verdict).toBe('continue');
    });
  }

  it('immediate as an option of runmilter, and a class that says otherwise', async () => {
    await using own = await FilterProcess.start('scripted', { options: { immediate: true } });
    await own.use({ handlers: { header: { answer: REJECT } } });
    const eager = await own.greeted();
    expect((await eager.message(MESSAGE)).endedAt).toBe('header');
    await eager.close();
    await own.use({ handlers: { header: { answer: REJECT } }, statics: { immediate: false } });
    const patient = await own.greeted();
    expect((await patient.message(MESSAGE)).endedAt).toBe('eom');
    await patient.close();
    await own.stop();
  });

  it('a failed handler in the middle, with CONTINUE as policy: the others run', async () => {
    await filter.request('policy', CONTINUE);
    try {
      await filter.use({ handlers: { ...ALL, header: [{}, { throws: 'oops' }, {}] } });
      await using mta = await filter.greeted();
      expect((await mta.message(MESSAGE)).verdict).toBe('continue');
      expect(await called()).toStrictEqual(['envfrom', ...ORDER]);
    } finally {
      await filter.request('policy', TEMPFAIL);
    }
  });
});
