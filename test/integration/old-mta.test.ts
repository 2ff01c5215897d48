/** MTAs of before, and MTAs that offer little. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT, REJECT, TEMPFAIL } from 'tsmilter';
import { Actions, type MtaSessionOptions, Protocol } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { errorWith, expectThat } from '../support/expect.js';
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

describe('MTAs with older protocol versions', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  for (const [title, offer, extra] of OFFERS) {
    describe(title, () => {
      it('all handlers are called, in order', async () => {
        await filter.use({ handlers: ALL_HANDLERS });
        await using mta = await filter.session(offer);
        await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 25 });
        await mta.helo('client.example');
        await mta.unknown('XYZZY');
        expect((await mta.message(MESSAGE)).verdict).toBe('continue');
        await mta.quit();
        await filter.event('close');
        expect((await filter.events()).map(([name]) => name)).toStrictEqual([
          'new',
          'connect',
          'hello',
          ...(extra.includes('unknown') ? ['unknown'] : []),
          'envfrom',
          'envrcpt',
          ...(extra.includes('data') ? ['data'] : []),
          ...COMMON,
        ]);
        expect(await filter.eventsOf('report')).toStrictEqual([]);
      });

      it('a class with one handler', async () => {
        for (const handler of ['envfrom', 'header', 'body', 'eom']) {
          await filter.use({ handlers: { [handler]: {} } });
          await using mta = await filter.greeted(offer);
          expect((await mta.message(MESSAGE)).verdict).toBe('continue');
          expect((await filter.events()).map(([name]) => name)).toStrictEqual(['new', handler]);
        }
      });

      it('a deferred verdict is given with its text at the end', async () => {
        for (const handler of ['header', 'eoh', 'body']) {
          await filter.use({
            handlers: {
              [handler]: { call: [['setreply', '550', '5.7.1', 'one', 'two']], answer: REJECT },
              eom: {},
            },
          });
          await using mta = await filter.greeted(offer);
          const { endedAt, response } = await mta.message(MESSAGE);
          expect(endedAt).toBe('eom');
          expectThat(response.reply?.text, handler).toBe('550-5.7.1 one\r\n550 5.7.1 two');
          expect(await filter.eventsOf('eom')).toStrictEqual([]);
        }
      });

      it('immediate: the verdict is given immediately', async () => {
        for (const handler of ['header', 'eoh', 'body']) {
          await filter.use({ handlers: { [handler]: { answer: TEMPFAIL } }, statics: { immediate: true } });
          await using mta = await filter.greeted(offer);
          const { endedAt, verdict } = await mta.message(MESSAGE);
          expect([endedAt, verdict]).toStrictEqual([handler, 'tempfail']);
        }
      });

      it('two messages in a session, the first refused', async () => {
        await filter.use({ handlers: { header: [{ answer: REJECT }, {}], eom: { answer: ACCEPT } } });
        await using mta = await filter.greeted(offer);
        expect((await mta.message(MESSAGE)).verdict).toBe('reject');
        expect((await mta.message(MESSAGE)).verdict).toBe('accept');
      });
    });
  }

  it('version 2: actions that it lacks throw DisabledAction, the others are carried out', async () => {
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
    expect(mta.negotiated.version).toBe(2);
    expect(mta.negotiated.actions).toBe(Actions.V2);
    const { modifications } = await mta.message(MESSAGE);
    expect(modifications.map(({ type }) => type)).toStrictEqual(['addheader', 'quarantine']);
    const errors = (await filter.eventsOf('error')).map(([, method, error]) => [
      method,
      (error as ToldError).name,
    ]);
    expect(errors).toStrictEqual([
      ['chgfrom', 'DisabledAction'],
      ['addrcpt', 'DisabledAction'],
    ]);
  });

  it('version 1 is refused by libmilter, without leaving an object', async () => {
    const [made] = await filter.request<[number, number]>('diag');
    await expect(filter.session({ version: 1 })).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
    expect((await filter.request<[number, number]>('diag'))[0]).toBe(made);
  });
});
