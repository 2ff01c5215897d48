// Recipients that are refused one by one: by the filter, and by the MTA, which tells the filter if rejectedRecipients is set.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL } from 'tsmilter';
import { behaviourOf } from '../../tools/mta/versions';
import { TIMEOUT } from '../../tools/wait';
import type { Act } from '../fixtures/script';
import { expectThat } from '../support/expect';
import { heard } from './support/conversation';
import { defaultReplies } from './support/default-replies';
import { kinds, MtaFixture } from './support/mta-fixture';
import { forMta } from './support/view';

const rejected = 'mtareject@dest.test';

/** What the MTA says of that one. */
const own = {
  sendmail: '550 5.1.1 <mtareject@dest.test>... User unknown',
  postfix: '554 5.7.1 <mtareject@dest.test>: Recipient address rejected: Access denied',
} as const;

const macros = ['{rcpt_mailer}', '{rcpt_host}', '{rcpt_addr}'];

describe('recipients', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  /** Which of the recipients got the message. */
  async function recipientsOf(id: string): Promise<string[]> {
    return (await mtas.delivered(id)).rcptTo.map(({ address }) => address).sort();
  }

  for (const kind of kinds) {
    describe(kind, () => {
      test('each gets its own verdict and reply, and the accepted ones get the message', async () => {
        const acts: Act[] = [
          { call: [['setreply', '551', '5.7.1', 'the first']], answer: REJECT },
          {},
          { answer: REJECT },
          { answer: TEMPFAIL },
          { call: [['setreply', '452', '4.2.2', 'the fifth', 'is full']], answer: TEMPFAIL },
          {},
        ];
        const filter = mtas.filter();
        await filter.use({ handlers: { envrcpt: acts, eom: {} } });
        const to = [
          'rcpt@dest.test',
          'b@dest.test',
          'rcpt@dest.test',
          'd@dest.test',
          'e@dest.test',
          'f@dest.test',
        ];
        const { id, rcpt, last } = await mtas.submit(kind, { to });
        const ok = (address: string) =>
          forMta({ sendmail: `250 2.1.5 <${address}>... Recipient ok`, postfix: '250 2.1.5 Ok' }, kind);
        expect(rcpt.map(heard)).toStrictEqual([
          '551 5.7.1 the first',
          ok('b@dest.test'),
          defaultReplies.REJECT[kind].envrcpt,
          defaultReplies.TEMPFAIL[kind].envrcpt,
          '452-4.2.2 the fifth|452 4.2.2 is full',
          ok('f@dest.test'),
        ]);
        expectThat(last.code, last.text).toBe(250);
        expect(await recipientsOf(id)).toStrictEqual(['b@dest.test', 'f@dest.test']);
      });

      test('if none is accepted, DATA is refused', async () => {
        await mtas.filter().use({ handlers: { envrcpt: { answer: REJECT }, data: {}, close: {} } });
        using client = await mtas.open(kind);
        await client.command('EHLO client.test');
        await client.command('MAIL FROM:<from@src.test>');
        await client.command('RCPT TO:<a@dest.test>');
        await client.command('RCPT TO:<b@dest.test>');
        const { code } = await client.command('DATA');
        expect(code).toBe(forMta({ sendmail: 503, postfix: 554 }, kind));
        await client.quit();
        await mtas.filter().event('close', TIMEOUT);
        expect(await mtas.filter().eventsOf('data')).toStrictEqual([]);
      });

      for (const [verdict, answer] of [
        ['ACCEPT', ACCEPT],
        ['DISCARD', DISCARD],
      ] as const) {
        test(`${verdict} for one applies to the whole message`, async () => {
          await mtas.filter().use({ handlers: { envrcpt: { answer }, eom: {} } });
          const { id, last } = await mtas.submit(kind, { to: ['a@dest.test', 'b@dest.test'] });
          expectThat(last.code, last.text).toBe(250);
          const told = await mtas.filter().events();
          expect(told).toStrictEqual([['new'], ['envrcpt', '<a@dest.test>']]);
          if (answer === ACCEPT) expect(await recipientsOf(id)).toStrictEqual(['a@dest.test', 'b@dest.test']);
          else expect(await mtas.wasDelivered(kind, id)).toBe(false);
        });
      }
    });

    describe(`rejected by the MTA: ${kind}`, () => {
      /** A message to one that the MTA rejects and one that it takes; what the filter is told of them. */
      async function withRejected(answer: number, rejectedRecipients: boolean) {
        const filter = mtas.filter();
        const look = { call: macros.map((name) => ['getsymval', name] as const), answer };
        await filter.use({ handlers: { envrcpt: [look, {}], eom: {} }, statics: { rejectedRecipients } });
        const sent = await mtas.submit(kind, { to: [rejected, 'rcpt@dest.test'] });
        expect(sent.rcpt[0] && heard(sent.rcpt[0])).toBe(own[kind]);
        const told = await filter.events();
        const values = told.filter(([name]) => name === 'result').map(([, , value]) => value);
        return { sent, values, told: told.filter(([name]) => name === 'envrcpt' || name === 'eom') };
      }

      test('the filter does not learn of it without rejectedRecipients', async () => {
        const { sent, told } = await withRejected(CONTINUE, false);
        expect(told).toStrictEqual([['envrcpt', '<rcpt@dest.test>'], ['eom']]);
        expect(await recipientsOf(sent.id)).toStrictEqual(['rcpt@dest.test']);
      });

      test('with rejectedRecipients, envrcpt is called: {rcpt_mailer} is error, {rcpt_addr} the reason', async () => {
        const { sent, told, values } = await withRejected(CONTINUE, true);
        expect(told).toStrictEqual([['envrcpt', `<${rejected}>`], ['envrcpt', '<rcpt@dest.test>'], ['eom']]);
        expect(values).toStrictEqual(behaviourOf(mtas.mta(kind)).rejectedRecipient);
        expect(await recipientsOf(sent.id)).toStrictEqual(['rcpt@dest.test']);
      });

      for (const [verdict, answer] of [
        ['REJECT', REJECT],
        ['TEMPFAIL', TEMPFAIL],
      ] as const) {
        test(`${verdict} for it has no effect`, async () => {
          const { sent, told } = await withRejected(answer, true);
          expect(told).toHaveLength(3);
          expect(await recipientsOf(sent.id)).toStrictEqual(['rcpt@dest.test']);
        });
      }

      // Only that reply is not the filter's to give: other answers mean what they always do.
      test('ACCEPT for it accepts the whole message', async () => {
        const { sent, told } = await withRejected(ACCEPT, true);
        expect(told).toStrictEqual([['envrcpt', `<${rejected}>`]]);
        expect(await recipientsOf(sent.id)).toStrictEqual(['rcpt@dest.test']);
      });

      test('DISCARD for it discards the whole message; Postfix delivers it, without calling the filter again', async () => {
        const { sent, told } = await withRejected(DISCARD, true);
        expect(told).toStrictEqual([['envrcpt', `<${rejected}>`]]);
        expectThat(sent.last.code, sent.last.text).toBe(250);
        expect(await mtas.wasDelivered(kind, sent.id)).toBe(kind === 'postfix');
      });
    });
  }
});
