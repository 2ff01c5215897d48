/** MTAs of before, and MTAs that offer little. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ACCEPT, REJECT, TEMPFAIL } from 'tsmilter';
import { Actions, type MtaSessionOptions, Protocol } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { ALL_HANDLERS } from '../support/handlers.js';

const MESSAGE = { ...ENVELOPE, headers: [['Subject', 'x']] as const, body: 'text\r\n' };
const COMMON = ['header', 'eoh', 'body', 'eom'];

const OFFERS: readonly (readonly [title: string, offer: MtaSessionOptions, extra: readonly string[]])[] = [
  ['version 2', { version: 2 }, []],
  // An offer of nothing at all is read as the first version's by libmilter: one bit it must be.
  ['version 2 that can leave out eoh only', { version: 2, protocol: Protocol.NOEOH }, []],
  ['version 3', { version: 3, protocol: 0x1ff }, ['unknown']],
  ['version 4', { version: 4, protocol: 0x3ff }, ['unknown', 'data']],
  [
    'version 6 that can leave nothing out and waits for every reply',
    { protocol: Protocol.SKIP },
    ['unknown', 'data'],
  ],
  ['version 6 with everything', {}, ['unknown', 'data']],
];

describe('other MTAs', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('scripted');
  });
  after(() => filter?.stop());

  for (const [title, offer, extra] of OFFERS) {
    describe(title, () => {
      it('all handlers are called, in order', async () => {
        await filter.use({ handlers: ALL_HANDLERS });
        await using mta = await filter.session(offer);
        await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 25 });
        await mta.helo('client.example');
        await mta.unknown('XYZZY');
        assert.equal((await mta.message(MESSAGE)).verdict, 'continue');
        await mta.quit();
        await filter.event('close');
        assert.deepEqual(
          (await filter.events()).map(([name]) => name),
          [
            'new',
            'connect',
            'hello',
            ...(extra.includes('unknown') ? ['unknown'] : []),
            'envfrom',
            'envrcpt',
            ...(extra.includes('data') ? ['data'] : []),
            ...COMMON,
          ],
        );
        assert.deepEqual(await filter.eventsOf('report'), []);
      });

      it('a class with one handler', async () => {
        for (const handler of ['envfrom', 'header', 'body', 'eom']) {
          await filter.use({ handlers: { [handler]: {} } });
          await using mta = await filter.greeted(offer);
          assert.equal((await mta.message(MESSAGE)).verdict, 'continue');
          assert.deepEqual(
            (await filter.events()).map(([name]) => name),
            ['new', handler],
          );
        }
      });

      it('a deferred verdict comes with its text at the end', async () => {
        for (const handler of ['header', 'eoh', 'body']) {
          await filter.use({
            handlers: {
              [handler]: { call: [['setreply', '550', '5.7.1', 'one', 'two']], answer: REJECT },
              eom: {},
            },
          });
          await using mta = await filter.greeted(offer);
          const { endedAt, response } = await mta.message(MESSAGE);
          assert.equal(endedAt, 'eom');
          assert.equal(response.reply?.text, '550-5.7.1 one\r\n550 5.7.1 two', handler);
          assert.deepEqual(await filter.eventsOf('eom'), []);
        }
      });

      it('immediate: the verdict comes at once', async () => {
        for (const handler of ['header', 'eoh', 'body']) {
          await filter.use({ handlers: { [handler]: { answer: TEMPFAIL } }, statics: { immediate: true } });
          await using mta = await filter.greeted(offer);
          const { endedAt, verdict } = await mta.message(MESSAGE);
          assert.deepEqual([endedAt, verdict], [handler, 'tempfail']);
        }
      });

      it('two messages in a session, the first refused', async () => {
        await filter.use({ handlers: { header: [{ answer: REJECT }, {}], eom: { answer: ACCEPT } } });
        await using mta = await filter.greeted(offer);
        assert.equal((await mta.message(MESSAGE)).verdict, 'reject');
        assert.equal((await mta.message(MESSAGE)).verdict, 'accept');
      });
    });
  }

  it('version 2: what it does not know throws DisabledAction, what it knows is done', async () => {
    await filter.use({
      handlers: {
        eom: {
          call: [
            ['addheader', 'X-A', '1'],
            ['chgfrom', '<a@b.example>'],
            ['addrcpt', '<a@b.example>', 'NOTIFY=NEVER'],
            ['quarantine', 'held'],
          ],
        },
      },
    });
    await using mta = await filter.greeted({ version: 2 });
    assert.equal(mta.negotiated.version, 2);
    assert.equal(mta.negotiated.actions, Actions.V2);
    const { modifications } = await mta.message(MESSAGE);
    assert.deepEqual(
      modifications.map(({ type }) => type),
      ['addheader', 'quarantine'],
    );
    const errors = (await filter.eventsOf('error')).map(([, method, error]) => [
      method,
      (error as ToldError).name,
    ]);
    assert.deepEqual(errors, [
      ['chgfrom', 'DisabledAction'],
      ['addrcpt', 'DisabledAction'],
    ]);
  });

  it('version 1 is refused by libmilter, and nothing is left of it', async () => {
    const [made] = await filter.request<[number, number]>('diag');
    await assert.rejects(filter.session({ version: 1 }), { code: 'ERR_MILTER_CLOSED' });
    assert.equal((await filter.request<[number, number]>('diag'))[0], made);
  });
});
