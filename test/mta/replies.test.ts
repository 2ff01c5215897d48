// What the SMTP client hears of each verdict of each handler, line by line; test/mta/support/default-replies.ts is the
// table of what the MTAs say by themselves.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCEPT, DISCARD, REJECT, TEMPFAIL } from 'tsmilter';
import { converse, filterWith, session } from './support/conversation';
import { defaultReplies, heardAt, messageStages, type Stage, stages } from './support/default-replies';
import { type Kind, kinds, MtaFixture, nextId } from './support/mta-fixture';
import { forMta, type PerMta } from './support/view';

const verdicts = { REJECT, TEMPFAIL } as const;
type Verdict = keyof typeof verdicts;

type Case = readonly [title: string, setreply: readonly (string | null)[], heard: PerMta<string>];

/** Tried in every handler. Written for REJECT: for TEMPFAIL all classes are 4. */
const cases: readonly Case[] = [
  ['one line', ['551', '5.7.1', 'not welcome'], '551 5.7.1 not welcome'],
  [
    'three lines, %% for a percent sign',
    ['551', '5.7.1', 'one', '100%% of %%s', 'three'],
    '551-5.7.1 one|551-5.7.1 100% of %s|551 5.7.1 three',
  ],
];

const longLine = 'x'.repeat(980);

/** Tried in eom. */
const moreCases: readonly Case[] = [
  ['no extended code', ['551', null, 'plain'], { sendmail: '551 5.0.0 plain', postfix: '551 plain' }],
  ['two lines without extended code', ['551', null, 'one', 'two'], '551-5.0.0 one|551 5.0.0 two'],
  ['no text', ['551', '5.7.1', null], { sendmail: '551 5.0.0 5.7.1', postfix: '551 5.7.1' }],
  [
    'an empty line between others',
    ['551', '5.7.1', 'one', '', 'three'],
    '551-5.7.1 one|551-5.7.1 |551 5.7.1 three',
  ],
  [
    '32 lines, the most that libmilter takes',
    ['551', '5.7.1', ...Array.from({ length: 32 }, (_, i) => `line ${i}`)],
    Array.from({ length: 32 }, (_, i) => `551${i < 31 ? '-' : ' '}5.7.1 line ${i}`).join('|'),
  ],
  ['980 bytes, the most in a line', ['551', '5.7.1', longLine], `551 5.7.1 ${longLine}`],
];

function classed(verdict: Verdict, text: string): string {
  return verdict === 'REJECT' ? text : text.replace(/\b5(?=\d\d\b|\.\d+\.\d+\b)/g, '4');
}

describe('replies', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  function refusals(kind: Kind, stage: Stage, verdict: Verdict): void {
    const ofTheMta = defaultReplies[verdict][kind][stage];

    test(`${verdict} in ${stage}, no reply set`, async () => {
      const { id, said } = await session(mtas, kind, filterWith(stage, { answer: verdicts[verdict] }));
      expect(said[heardAt[stage]]).toBe(ofTheMta);
      // EHLO is never refused: the client shall be able to end the session decently
      expect(said.EHLO ?? '').toMatch(/^250-/);
      expect(said.greeting ?? '').toMatch(stage === 'connect' && verdict === 'REJECT' ? /^554 / : /^220 /);
      expect(await mtas.wasDelivered(kind, id)).toBe(false);
    });

    for (const [title, args, expected] of stage === 'eom' ? [...cases, ...moreCases] : cases) {
      test(`${verdict} in ${stage} with ${title}`, async () => {
        const call = [['setreply', ...args.map((arg) => arg && classed(verdict, arg))]] as const;
        const { said } = await session(mtas, kind, filterWith(stage, { call, answer: verdicts[verdict] }));
        // Sendmail forgets a text that is set in connect
        const lost = kind === 'sendmail' && stage === 'connect';
        expect(said[heardAt[stage]]).toBe(lost ? ofTheMta : classed(verdict, forMta(expected, kind)));
      });
    }
  }

  for (const kind of kinds) {
    describe(kind, () => {
      for (const stage of stages) {
        refusals(kind, stage, 'REJECT');
        refusals(kind, stage, 'TEMPFAIL');

        test(`ACCEPT in ${stage}: delivered, and no later handler is called`, async () => {
          const { id, said, calls } = await session(mtas, kind, filterWith(stage, { answer: ACCEPT }));
          expect(said['.'] ?? '').toMatch(/^250 /);
          await mtas.delivered(id);
          expect(calls.at(-1)).toBe(stage);
        });
      }

      for (const stage of messageStages) {
        test(`DISCARD in ${stage}: the client gets a success reply, and nothing is delivered`, async () => {
          const { id, said, calls } = await session(mtas, kind, filterWith(stage, { answer: DISCARD }));
          expect(said['.'] ?? '').toMatch(/^250 /);
          expect(await mtas.wasDelivered(kind, id)).toBe(false);
          expect(calls.filter((name) => name !== 'abort').at(-1)).toBe(stage);
        });
      }

      // There is no message yet that could be discarded. Sendmail takes DISCARD in connect for ACCEPT.
      for (const stage of ['connect', 'hello'] as const) {
        test(`DISCARD in ${stage}: delivered`, async () => {
          const { id, said, calls } = await session(mtas, kind, filterWith(stage, { answer: DISCARD }));
          expect(said['.'] ?? '').toMatch(/^250 /);
          await mtas.delivered(id);
          expect(calls.at(-1)).toBe(kind === 'sendmail' && stage === 'connect' ? 'connect' : 'eom');
        });
      }

      for (const stage of messageStages) {
        test(`after REJECT in ${stage} the next message of the session starts afresh`, async () => {
          const call = [['setreply', '551', '5.7.1', 'not this one']] as const;
          await mtas.filter().use({ handlers: filterWith(stage, [{ call, answer: REJECT }, {}]) });
          using client = await mtas.open(kind);
          await client.command('EHLO client.test');
          const first = await converse(client, nextId());
          expect(first[heardAt[stage]]).toBe('551 5.7.1 not this one');
          await client.command('RSET');
          const id = nextId();
          const second = await converse(client, id);
          expect(second['.'] ?? '').toMatch(/^250 /);
          await client.quit();
          await mtas.delivered(id);
        });
      }
    });
  }
});
