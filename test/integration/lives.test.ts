/** Contract 1, 4, 5: when filter objects are made, when they end, and what is left of them. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { REJECT, TEMPFAIL } from 'tsmilter';
import { Actions } from 'tsmilter/testing';
import type { Acts } from '../fixtures/script.js';
import type { ToldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

/** What is told of a life. */
const LIFE: Acts = { connect: {}, envfrom: {}, eom: {}, abort: {}, close: {} };

describe('lifetime of filter objects', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  /** @contract 1 */
  describe('an object is created', () => {
    it('at negotiate, before connect', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.session();
      expect(await filter.events()).toStrictEqual([['new']]);
      await mta.connect('client.example');
      expect(await filter.eventsOf('new')).toStrictEqual([]);
    });

    it('for each session, and used for all its messages', async () => {
      await filter.use({ handlers: LIFE });
      for (let session = 0; session < 3; session++) {
        await using mta = await filter.greeted();
        await mta.message(ENVELOPE);
        await mta.message(ENVELOPE);
      }
      expect(await filter.eventsOf('new')).toHaveLength(3);
    });

    it('by the current factory; earlier sessions keep their object', async () => {
      await filter.use({ handlers: { envfrom: { answer: REJECT } } });
      await using older = await filter.greeted();
      await filter.use({ handlers: { envfrom: { answer: TEMPFAIL } } });
      await using newer = await filter.greeted();
      expect((await older.mail('<a@b.example>')).verdict).toBe('reject');
      expect((await newer.mail('<a@b.example>')).verdict).toBe('tempfail');
      expect((await older.mail('<a@b.example>')).verdict).toBe('reject');
    });

    it('if the constructor throws: reported, the policy answers, each step tries again', async () => {
      await filter.use({ handlers: { connect: {}, hello: {}, close: {} }, constructorThrows: 'no database' });
      await using mta = await filter.session();
      expect((await filter.report()).step).toBe('negotiate');
      expect((await mta.connect('client.example')).verdict).toBe('tempfail');
      expect(await filter.report().then(({ step, message }) => [step, message])).toStrictEqual([
        'connect',
        'no database',
      ]);
      await filter.use({ handlers: { hello: {}, close: {} } });
      expect((await mta.helo('now it is there')).verdict).toBe('continue');
      expect(await filter.eventsOf('new', 'hello')).toStrictEqual([['new'], ['hello', 'now it is there']]);
      await mta.quit();
      await filter.event('close');
    });
  });

  /** @contract 1 */
  describe('a connection that the MTA reuses (QUIT_NC)', () => {
    it('gets a new object of the current factory without a new negotiation', async () => {
      await filter.use({ handlers: { ...LIFE, negotiate: {} } });
      await using mta = await filter.greeted();
      await mta.message(ENVELOPE);
      expect((await filter.events()).map(([name]) => name)).toStrictEqual([
        'new',
        'negotiate',
        'connect',
        'envfrom',
        'eom',
      ]);
      await mta.quitNewConnection();
      expect(await filter.event('close')).toStrictEqual(['close']);
      expect((await mta.connect('second.example', { family: 'unknown' })).verdict).toBe('continue');
      expect(await filter.events()).toStrictEqual([['new'], ['connect', 'second.example', 0, null]]);

      await mta.helo('second.example');
      await mta.message(ENVELOPE);
      await mta.quitNewConnection();
      await filter.event('close');
      await filter.use({ handlers: { connect: { answer: REJECT }, close: {} } });
      expect((await mta.connect('third.example')).verdict).toBe('reject');
      await mta.quit();
      await filter.event('close');
    });

    it('keeps the rights and replies of the first negotiation', async () => {
      await filter.use({
        statics: { noreply: ['hello'] },
        handlers: {
          hello: {},
          header: {},
          eom: {
            call: [
              ['addheader', 'X-A', '1'],
              ['chgheader', 'X-A', 1, '2'],
            ],
          },
          close: {},
        },
      });
      await using mta = await filter.session({ actions: Actions.ADDHDRS });
      for (const name of ['first.example', 'second.example', 'third.example']) {
        await mta.connect(name);
        expect((await mta.helo(name)).verdict).toBe('noreply');
        const { modifications } = await mta.message({ ...ENVELOPE, headers: [['Subject', name]] });
        expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: '1' }]);
        const told = await filter.events();
        expect(told.map(([event, first]) => (event === 'header' ? 'header' : [event, first]))).toStrictEqual([
          ['new', undefined],
          ['hello', name],
          'header',
          ['eom', undefined],
          ['result', 'addheader'],
          ['error', 'chgheader'],
        ]);
        expect((told.at(-1)?.[2] as ToldError | undefined)?.name).toBe('DisabledAction');
        await mta.quitNewConnection();
        await filter.event('close');
      }
    });

    it('defers the same verdicts as in the first session', async () => {
      await filter.use({
        handlers: {
          header: { call: [['setreply', '550', '5.7.1', 'seen']], answer: REJECT },
          unknown: {}, // libmilter obeys QUIT_NC after this
          close: {},
        },
      });
      await using mta = await filter.greeted();
      await mta.unknown('whatever');
      await mta.quitNewConnection();
      await filter.event('close');
      await mta.connect('second.example');
      await mta.helo('second.example');
      const result = await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']] });
      expect(result.endedAt).toBe('eom');
      expect(result.response.reply?.text).toBe('550 5.7.1 seen');
      await mta.quit();
      await filter.event('close');
    });
  });

  /** @contract 4 */
  describe('an object is closed', () => {
    const names = async () => (await filter.events()).map(([name]) => name);

    it('once, at QUIT', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.greeted();
      await mta.message(ENVELOPE);
      await mta.quit();
      await filter.event('close');
      expect(await names()).toStrictEqual(['new', 'connect', 'envfrom', 'eom']);
    });

    it('once, after abort, when the MTA hangs up in a message', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      mta.destroy();
      await filter.event('close');
      expect(await names()).toStrictEqual(['new', 'connect', 'envfrom', 'abort']);
    });

    it('without abort when it hangs up between messages', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.greeted();
      mta.destroy();
      await filter.event('close');
      expect(await names()).toStrictEqual(['new', 'connect']);
    });

    it('without connect, if there was none', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.session();
      await mta.quit();
      await filter.event('close');
      expect(await names()).toStrictEqual(['new']);
    });

    it('even if every handler threw', async () => {
      const throws = { throws: 'broken' };
      await filter.use({ handlers: { connect: throws, envfrom: throws, abort: {}, close: {} } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.quit();
      await filter.event('close');
      expect((await names()).filter((name) => name === 'close').length).toStrictEqual(0);
    });

    it('not if no object was created', async () => {
      await filter.use({ handlers: { connect: {}, close: {}, abort: {} }, constructorThrows: 'no' });
      await using mta = await filter.session();
      await mta.connect('client.example');
      await mta.quit();
      const [made] = await filter.request<[number, number]>('diag');
      // The context has ended when its count says so; close would have been told by then.
      await filter.use({ handlers: {} });
      const deadline = performance.now() + 10_000;
      let ended = 0;
      while (ended !== made) {
        expectThat(performance.now(), `${ended} of ${made} contexts have ended after 10 s`).toBeLessThan(
          deadline,
        );
        [, ended] = await filter.request<[number, number]>('diag');
      }
      expect(await filter.eventsOf('close', 'abort')).toStrictEqual([]);
    });

    for (const [how, act] of [
      ['throws', { throws: 'thrown' }],
      ['rejects', { wait: 0, throws: 'thrown' }],
    ] as const) {
      it(`abort that ${how} is reported, close follows, the filter continues`, async () => {
        await filter.use({ handlers: { envfrom: {}, abort: act, close: {} } });
        await using mta = await filter.greeted();
        await mta.mail('<a@b.example>');
        await mta.abort();
        const { step, message } = await filter.report();
        expect([step, message]).toStrictEqual(['abort', 'thrown']);
        expect((await mta.mail('<again@b.example>')).verdict).toBe('continue');
        await mta.quit();
        await filter.event('close');
      });

      it(`close that ${how} is reported, the filter continues`, async () => {
        await filter.use({ handlers: { close: act } });
        await using mta = await filter.greeted();
        await mta.quit();
        const { step, message } = await filter.report();
        expect([step, message]).toStrictEqual(['close', 'thrown']);
        await using next = await filter.greeted();
        expect((await next.message(ENVELOPE)).verdict).toBe('continue');
        await next.quit();
        expect((await filter.report()).step).toBe('close'); // its own close, not to be told to the next test
      });
    }

    it('the answers of abort and close mean nothing', async () => {
      await filter.use({ handlers: { envfrom: {}, abort: { answer: undefined }, close: { answer: 'x' } } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.quit();
      await filter.event('close');
      expect(await filter.eventsOf('report')).toStrictEqual([]);
    });

    it('an async abort is awaited before the next handler', async () => {
      await filter.use({ handlers: { envfrom: {}, abort: { gate: 'abort' }, close: {} } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.abort();
      await filter.event('abort');
      const second = mta.mail('<b@b.example>');
      expect(await filter.eventsOf('envfrom')).toStrictEqual([['envfrom', '<a@b.example>']]);
      await filter.request('open', 'abort');
      expect((await second).verdict).toBe('continue');
      expect(await filter.eventsOf('envfrom')).toStrictEqual([['envfrom', '<b@b.example>']]);
      await mta.quit();
      await filter.event('close');
    });
  });

  /** @contract 5 */
  it('the counters say how many are open, and agree when none is', async () => {
    await filter.use({ handlers: { close: {} } });
    const [made, ended] = await filter.request<[number, number]>('diag');
    const sessions = await Promise.all(Array.from({ length: 5 }, () => filter.greeted()));
    expect(await filter.request('diag')).toStrictEqual([made + 5, ended]);
    for (const [i, mta] of sessions.entries()) {
      await mta.quit();
      await filter.event('close');
      expect(await filter.request('diag')).toStrictEqual([made + 5, ended + i + 1]);
    }
  });
});
