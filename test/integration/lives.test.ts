/** Contract 1, 4, 5: when filter objects are made, when they end, and what is left of them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { REJECT, TEMPFAIL } from 'tsmilter';
import { Actions } from 'tsmilter/testing';
import type { Acts } from '../fixtures/script.js';
import type { ToldError } from '../fixtures/serve.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

/** What is told of a life. */
const LIFE: Acts = { connect: {}, envfrom: {}, eom: {}, abort: {}, close: {} };

describe('lives of filter objects', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('scripted');
  });
  after(() => filter?.stop());

  describe('contract 1: made', () => {
    it('at negotiate, before anybody connects', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.session();
      assert.deepEqual(await filter.events(), [['new']]);
      await mta.connect('client.example');
      assert.deepEqual(await filter.eventsOf('new'), []);
    });

    it('anew for each session, one for all messages of it', async () => {
      await filter.use({ handlers: LIFE });
      for (let session = 0; session < 3; session++) {
        await using mta = await filter.greeted();
        await mta.message(ENVELOPE);
        await mta.message(ENVELOPE);
      }
      assert.equal((await filter.eventsOf('new')).length, 3);
    });

    it('by the factory of that moment; sessions that began before keep their object', async () => {
      await filter.use({ handlers: { envfrom: { answer: REJECT } } });
      await using older = await filter.greeted();
      await filter.use({ handlers: { envfrom: { answer: TEMPFAIL } } });
      await using newer = await filter.greeted();
      assert.equal((await older.mail('<a@b.example>')).verdict, 'reject');
      assert.equal((await newer.mail('<a@b.example>')).verdict, 'tempfail');
      assert.equal((await older.mail('<a@b.example>')).verdict, 'reject');
    });

    it('a constructor that throws: reported, the policy answers, each step tries anew', async () => {
      await filter.use({ handlers: { connect: {}, hello: {}, close: {} }, constructorThrows: 'no database' });
      await using mta = await filter.session();
      assert.equal((await filter.report()).step, 'negotiate');
      assert.equal((await mta.connect('client.example')).verdict, 'tempfail');
      assert.deepEqual(await filter.report().then(({ step, message }) => [step, message]), [
        'connect',
        'no database',
      ]);
      await filter.use({ handlers: { hello: {}, close: {} } });
      assert.equal((await mta.helo('now it is there')).verdict, 'continue');
      assert.deepEqual(await filter.eventsOf('new', 'hello'), [['new'], ['hello', 'now it is there']]);
      await mta.quit();
      await filter.event('close');
    });
  });

  describe('contract 1: a connection that the MTA uses again (QUIT_NC)', () => {
    it('a new object without a new negotiation, by the factory of that moment', async () => {
      await filter.use({ handlers: { ...LIFE, negotiate: {} } });
      await using mta = await filter.greeted();
      await mta.message(ENVELOPE);
      assert.deepEqual(
        (await filter.events()).map(([name]) => name),
        ['new', 'negotiate', 'connect', 'envfrom', 'eom'],
      );
      await mta.quitNewConnection();
      assert.deepEqual(await filter.event('close'), ['close']);
      assert.equal((await mta.connect('second.example', { family: 'unknown' })).verdict, 'continue');
      assert.deepEqual(await filter.events(), [['new'], ['connect', 'second.example', 0, null]]);

      await mta.helo('second.example');
      await mta.message(ENVELOPE);
      await mta.quitNewConnection();
      await filter.event('close');
      await filter.use({ handlers: { connect: { answer: REJECT }, close: {} } });
      assert.equal((await mta.connect('third.example')).verdict, 'reject');
      await mta.quit();
      await filter.event('close');
    });

    it('rights and replies are those of the first negotiation', async () => {
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
        assert.equal((await mta.helo(name)).verdict, 'noreply');
        const { modifications } = await mta.message({ ...ENVELOPE, headers: [['Subject', name]] });
        assert.deepEqual(modifications, [{ type: 'addheader', name: 'X-A', value: '1' }]);
        const told = await filter.events();
        assert.deepEqual(
          told.map(([event, first]) => (event === 'header' ? 'header' : [event, first])),
          [
            ['new', undefined],
            ['hello', name],
            'header',
            ['eom', undefined],
            ['result', 'addheader'],
            ['error', 'chgheader'],
          ],
        );
        assert.equal((told.at(-1)?.[2] as ToldError | undefined)?.name, 'DisabledAction');
        await mta.quitNewConnection();
        await filter.event('close');
      }
    });

    it('what was deferred in the first session is deferred in the second', async () => {
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
      assert.equal(result.endedAt, 'eom');
      assert.equal(result.response.reply?.text, '550 5.7.1 seen');
      await mta.quit();
      await filter.event('close');
    });
  });

  describe('contract 4: closed', () => {
    const names = async () => (await filter.events()).map(([name]) => name);

    it('once, at QUIT', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.greeted();
      await mta.message(ENVELOPE);
      await mta.quit();
      await filter.event('close');
      assert.deepEqual(await names(), ['new', 'connect', 'envfrom', 'eom']);
    });

    it('once, after abort, when the MTA hangs up in a message', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      mta.destroy();
      await filter.event('close');
      assert.deepEqual(await names(), ['new', 'connect', 'envfrom', 'abort']);
    });

    it('without abort when it hangs up between messages', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.greeted();
      mta.destroy();
      await filter.event('close');
      assert.deepEqual(await names(), ['new', 'connect']);
    });

    it('without connect, where nobody connected', async () => {
      await filter.use({ handlers: LIFE });
      await using mta = await filter.session();
      await mta.quit();
      await filter.event('close');
      assert.deepEqual(await names(), ['new']);
    });

    it('also when every handler threw', async () => {
      const throws = { throws: 'broken' };
      await filter.use({ handlers: { connect: throws, envfrom: throws, abort: {}, close: {} } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.quit();
      await filter.event('close');
      assert.deepEqual((await names()).filter((name) => name === 'close').length, 0);
    });

    it('not where no object was made', async () => {
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
        assert.ok(performance.now() < deadline, `${ended} of ${made} contexts have ended after 10 s`);
        [, ended] = await filter.request<[number, number]>('diag');
      }
      assert.deepEqual(await filter.eventsOf('close', 'abort'), []);
    });

    for (const [how, act] of [
      ['throws', { throws: 'thrown' }],
      ['rejects', { wait: 0, throws: 'thrown' }],
    ] as const) {
      it(`abort that ${how} is reported, close follows, the filter lives`, async () => {
        await filter.use({ handlers: { envfrom: {}, abort: act, close: {} } });
        await using mta = await filter.greeted();
        await mta.mail('<a@b.example>');
        await mta.abort();
        const { step, message } = await filter.report();
        assert.deepEqual([step, message], ['abort', 'thrown']);
        assert.equal((await mta.mail('<again@b.example>')).verdict, 'continue');
        await mta.quit();
        await filter.event('close');
      });

      it(`close that ${how} is reported, the filter lives`, async () => {
        await filter.use({ handlers: { close: act } });
        await using mta = await filter.greeted();
        await mta.quit();
        const { step, message } = await filter.report();
        assert.deepEqual([step, message], ['close', 'thrown']);
        await using next = await filter.greeted();
        assert.equal((await next.message(ENVELOPE)).verdict, 'continue');
        await next.quit();
        assert.equal((await filter.report()).step, 'close'); // its own close, not to be told to the next test
      });
    }

    it('the answers of abort and close mean nothing', async () => {
      await filter.use({ handlers: { envfrom: {}, abort: { answer: undefined }, close: { answer: 'x' } } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.quit();
      await filter.event('close');
      assert.deepEqual(await filter.eventsOf('report'), []);
    });

    it('an async abort is awaited before the next handler', async () => {
      await filter.use({ handlers: { envfrom: {}, abort: { gate: 'abort' }, close: {} } });
      await using mta = await filter.greeted();
      await mta.mail('<a@b.example>');
      await mta.abort();
      await filter.event('abort');
      const second = mta.mail('<b@b.example>');
      assert.deepEqual(await filter.eventsOf('envfrom'), [['envfrom', '<a@b.example>']]);
      await filter.request('open', 'abort');
      assert.equal((await second).verdict, 'continue');
      assert.deepEqual(await filter.eventsOf('envfrom'), [['envfrom', '<b@b.example>']]);
      await mta.quit();
      await filter.event('close');
    });
  });

  it('contract 5: the counters say how many are open, and agree when none is', async () => {
    await filter.use({ handlers: { close: {} } });
    const [made, ended] = await filter.request<[number, number]>('diag');
    const sessions = await Promise.all(Array.from({ length: 5 }, () => filter.greeted()));
    assert.deepEqual(await filter.request('diag'), [made + 5, ended]);
    for (const [i, mta] of sessions.entries()) {
      await mta.quit();
      await filter.event('close');
      assert.deepEqual(await filter.request('diag'), [made + 5, ended + i + 1]);
    }
  });
});
