/** Contract 14: actions whose right was not negotiated; actions outside eom. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Actions } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { DEFERRED_HANDLERS, PROMPT_HANDLERS, verdictOf } from './drive.js';

type Call = readonly [method: string, ...args: unknown[]];

const ACTIONS: readonly (readonly [right: keyof typeof Actions | null, call: Call])[] = [
  ['ADDHDRS', ['addheader', 'X-A', 'b']],
  ['ADDHDRS', ['addheader', 'X-A', 'b', 0]],
  ['CHGHDRS', ['chgheader', 'X-A', 1, 'b']],
  ['ADDRCPT', ['addrcpt', '<a@b.example>']],
  ['DELRCPT', ['delrcpt', '<a@b.example>']],
  ['CHGBODY', ['replacebody', 'text']],
  ['CHGFROM', ['chgfrom', '<a@b.example>']],
  ['QUARANTINE', ['quarantine', 'reason']],
  [null, ['progress']],
];
const CALLS = ACTIONS.map(([, call]) => call);

describe('rights', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  /** What each call became: `done`, or the name and code of its error. */
  async function outcomes(): Promise<[method: string, outcome: string][]> {
    return (await filter.eventsOf('result', 'error')).map(([kind, method, error]) => [
      method as string,
      kind === 'result' ? 'done' : `${(error as ToldError).name} ${(error as ToldError).code}`,
    ]);
  }

  /** @contract 14 */
  describe('what was negotiated', () => {
    it('with all rights, every action is carried out', async () => {
      await filter.use({ handlers: { eom: { call: CALLS } } });
      await using mta = await filter.greeted();
      const { modifications } = await mta.message(ENVELOPE);
      expect(await outcomes()).toStrictEqual(CALLS.map(([method]) => [method, 'done']));
      expect(modifications).toHaveLength(CALLS.length - 1);
    });

    for (const right of [
      'ADDHDRS',
      'CHGHDRS',
      'ADDRCPT',
      'DELRCPT',
      'CHGBODY',
      'CHGFROM',
      'QUARANTINE',
    ] as const) {
      it(`an MTA that offers all but ${right}: its actions throw DisabledAction, the others are carried out`, async () => {
        await filter.use({ handlers: { eom: { call: CALLS } } });
        await using mta = await filter.greeted({ actions: Actions.ALL & ~Actions[right] });
        const { verdict } = await mta.message(ENVELOPE);
        expect(verdict).toBe('continue');
        expect(await outcomes()).toStrictEqual(
          ACTIONS.map(([needs, [method]]) => [
            method,
            needs === right ? 'DisabledAction ERR_MILTER_DISABLED_ACTION' : 'done',
          ]),
        );
      });

      it(`an MTA that offers only ${right}`, async () => {
        await filter.use({ handlers: { eom: { call: CALLS } } });
        await using mta = await filter.greeted({ actions: Actions[right] });
        await mta.message(ENVELOPE);
        expect(await outcomes()).toStrictEqual(
          ACTIONS.map(([needs, [method]]) => [
            method,
            needs === right || needs === null ? 'done' : 'DisabledAction ERR_MILTER_DISABLED_ACTION',
          ]),
        );
      });
    }

    it('progress needs no right', async () => {
      await filter.use({ handlers: { eom: { call: [['progress']] } } });
      await using mta = await filter.greeted({ actions: Actions.SETSYMLIST });
      expect((await mta.message(ENVELOPE)).progress).toBe(1);
    });

    it('an uncaught DisabledAction follows the exception policy', async () => {
      await filter.use({ handlers: { eom: { call: [['quarantine', 'x']], throws: 'as if' } } });
      await using mta = await filter.greeted({ actions: Actions.ADDHDRS });
      expect((await mta.message(ENVELOPE)).verdict).toBe('tempfail');
    });

    describe('addrcpt with parameters needs both rights', () => {
      const cases: [title: string, actions: number, plain: string, withParams: string][] = [
        ['both', Actions.ADDRCPT | Actions.ADDRCPT_PAR, 'done', 'done'],
        ['ADDRCPT alone', Actions.ADDRCPT, 'done', 'DisabledAction ERR_MILTER_DISABLED_ACTION'],
        [
          'ADDRCPT_PAR alone',
          Actions.ADDRCPT_PAR,
          'DisabledAction ERR_MILTER_DISABLED_ACTION',
          'DisabledAction ERR_MILTER_DISABLED_ACTION',
        ],
      ];
      for (const [title, actions, plain, withParams] of cases) {
        it(title, async () => {
          await filter.use({
            handlers: {
              eom: {
                call: [
                  ['addrcpt', '<a@b.example>'],
                  ['addrcpt', '<c@d.example>', 'NOTIFY=NEVER'],
                ],
              },
            },
          });
          await using mta = await filter.greeted({ actions });
          await mta.message(ENVELOPE);
          expect(await outcomes()).toStrictEqual([
            ['addrcpt', plain],
            ['addrcpt', withParams],
          ]);
        });
      }
    });

    it('before negotiation all rights are assumed: the error is about the stage', async () => {
      await filter.use({ handlers: { negotiate: { call: CALLS } } });
      await using mta = await filter.session({ actions: Actions.SETSYMLIST });
      void mta;
      for (const [method, outcome] of await outcomes()) {
        expectThat(outcome, method).toBe('MilterError ERR_MILTER_NOT_IN_EOM');
      }
    });

    for (const [how, negotiate] of [
      ['fails', { throws: 'negotiate is broken' }],
      ['answers ALL_OPTS', { answer: 10 }],
    ] as const) {
      it(`where negotiate ${how}, the rights are what the MTA offers`, async () => {
        await filter.use({ handlers: { negotiate, eom: { call: CALLS } } });
        await using mta = await filter.greeted({ actions: Actions.ADDHDRS });
        const { modifications, verdict } = await mta.message(ENVELOPE);
        expect(verdict).toBe('continue');
        expect(modifications.map(({ type }) => type)).toStrictEqual(['addheader', 'insheader']);
        expect(
          (await outcomes()).filter(([, outcome]) => outcome === 'done').map(([method]) => method),
        ).toStrictEqual(['addheader', 'addheader', 'progress']);
      });
    }
  });

  describe('outside eom, every action throws ERR_MILTER_NOT_IN_EOM', () => {
    for (const handler of [...PROMPT_HANDLERS, ...DEFERRED_HANDLERS].filter((name) => name !== 'eom')) {
      it(handler, async () => {
        await filter.use({ handlers: { [handler]: { call: CALLS } } });
        await using mta = await filter.session();
        expect((await verdictOf(mta, handler)).verdict).toBe('continue');
        const told = await filter.eventsOf('error', 'result');
        expect(told).toHaveLength(CALLS.length);
        for (const [kind, method, error] of told) {
          expectThat(kind, method as string).toBe('error');
          const { code, message } = error as ToldError;
          expect(code).toBe('ERR_MILTER_NOT_IN_EOM');
          expect(message).toContain(`in eom only, not in ${handler === 'hello' ? 'helo' : handler}`);
        }
      });
    }
  });

  it('setFlags: only the requested rights are negotiated', async () => {
    await using own = await FilterProcess.start('flags');
    await using mta = await own.greeted();
    expect(mta.negotiated.actions).toBe(Actions.ADDHDRS | Actions.QUARANTINE | Actions.SETSYMLIST);
    const { modifications } = await mta.message(ENVELOPE);
    expect(modifications).toStrictEqual([
      { type: 'addheader', name: 'X-A', value: 'b' },
      { type: 'quarantine', reason: 'held' },
    ]);
    expect(await own.eventsOf('error')).toStrictEqual([['error', 'chgheader', 'DisabledAction']]);
    await mta.close();
    await own.stop();
  });
});
