// Details of setreply, and other replies that an SMTP client gets because of a filter.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCEPT, DISCARD, REJECT, TEMPFAIL } from 'tsmilter';
import { behaviourOf } from '../../tools/mta/versions';
import { TIMEOUT } from '../../tools/wait';
import { converse, filterWith, heard, session } from './support/conversation';
import { defaultReplies, heardAt } from './support/default-replies';
import { type Kind, kinds, MtaFixture, nextId } from './support/mta-fixture';

describe('rules of replies', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  for (const kind of kinds) {
    describe(kind, () => {
      for (const [verdict, answer, code, extended] of [
        ['REJECT', REJECT, '451', '4.7.1'],
        ['TEMPFAIL', TEMPFAIL, '551', '5.7.1'],
      ] as const) {
        test(`${verdict} with a reply of the other class: the reply is ignored`, async () => {
          const act = { call: [['setreply', code, extended, 'x']], answer } as const;
          const { said } = await session(mtas, kind, filterWith('eom', act));
          expect(said['.']).toBe(defaultReplies[verdict][kind].eom);
        });
      }

      test('the last reply set is used', async () => {
        const call = [
          ['setreply', '551', '5.7.1', 'first', 'and second'],
          ['setreply', '552', '5.7.2', 'third'],
        ] as const;
        const { said } = await session(mtas, kind, filterWith('eom', { call, answer: REJECT }));
        expect(said['.']).toBe('552 5.7.2 third');
      });

      test('an unused reply is kept for the next verdict of its class', async () => {
        const { said } = await session(mtas, kind, {
          ...filterWith('envfrom', { call: [['setreply', '551', '5.7.1', 'set in envfrom']] }),
          eom: { answer: REJECT },
        });
        expect(said['.']).toBe('551 5.7.1 set in envfrom');
      });

      // U+010D and U+010A are CR and LF without their eighth bit, which Sendmail removes.
      test('text that an MTA would turn into another reply throws, and setReplyText replaces it', async () => {
        const line = 'spam \u010D\u010A250 2.0.0 ok';
        for (const [method, expected] of [
          ['setreply', defaultReplies.REJECT[kind].eom],
          ['setReplyText', '551 5.7.1 spam ??250 2.0.0 ok'],
        ] as const) {
          await mtas.filter().use({
            handlers: filterWith('eom', { call: [[method, '551', '5.7.1', line]], answer: REJECT }),
          });
          using client = await mtas.open(kind);
          await client.command('EHLO client.test');
          expect((await converse(client, nextId()))['.']).toBe(expected);
          expect(heard(await client.command('NOOP'))).toMatch(/^250 /);
          await client.quit();
        }
      });

      test('a text that begins with a digit is not read as an extended code', async () => {
        for (const [line, code, answer] of [
          ['192.0.2.1 is listed in dnsbl.example', '5', REJECT],
          ['4.7.1 x', '5', REJECT],
          ['5.7.1 x', '4', TEMPFAIL],
        ] as const) {
          const act = { call: [['setreply', `${code}51`, null, line]], answer } as const;
          const { said } = await session(mtas, kind, filterWith('eom', act));
          expect(said['.']).toBe(`${code}51 ${code}.0.0 ${line}`);
        }
      });

      // Sendmail cuts a longer one between two lines, and the client waits for the last one.
      test('the longest reply arrives whole, and the session goes on', async () => {
        const lines = Array.from({ length: 32 }, (_, i) => `${i} `.padEnd(488, 'x'));
        for (const extended of ['5.7.1', null]) {
          const handlers = filterWith('envrcpt', {
            call: [['setreply', '550', extended, ...lines]],
            answer: REJECT,
          });
          await mtas.filter().use({ handlers });
          using client = await mtas.open(kind);
          await client.command('EHLO client.test');
          await client.command('MAIL FROM:<from@src.test>');
          const reply = await client.command(`RCPT TO:<${'r'.repeat(60)}@${'d'.repeat(60)}.test>`);
          const texts = reply.lines.map((line) =>
            line.replace(/^5\.[07]\.[01] (?:<r+@d+\.test>\.\.\. )?/, ''),
          );
          expect(texts).toStrictEqual(lines);
          expect(heard(await client.command('NOOP'))).toMatch(/^250 /);
          await client.quit();
        }
      });

      for (const [handler, act] of [
        ['envfrom', { throws: 'oops' }],
        ['envrcpt', { wait: 1, throws: 'oops' }],
        ['eom', { answer: 'CONTINUE' }],
      ] as const) {
        test(`a handler that fails: ${handler} ${JSON.stringify(act)}`, async () => {
          const filter = mtas.filter();
          await filter.use({ handlers: filterWith(handler, act) });
          using client = await mtas.open(kind);
          await client.command('EHLO client.test');
          const said = await converse(client, nextId());
          expect(said[heardAt[handler]]).toBe('451 4.3.0 fixture: untrapped exception');
          expect((await filter.report()).step).toBe(handler);
          await client.quit();
        });
      }

      test('421 with TEMPFAIL ends the SMTP session', async () => {
        const call = [['setreply', '421', '4.7.0', 'go away']] as const;
        await mtas.filter().use({ handlers: filterWith('envrcpt', { call, answer: TEMPFAIL }) });
        using client = await mtas.open(kind);
        await client.command('EHLO client.test');
        await client.command('MAIL FROM:<from@src.test>');
        expect(heard(await client.command('RCPT TO:<rcpt@dest.test>'))).toBe('421 4.7.0 go away');
        await mtas.filter().event('close', TIMEOUT);
        await expect(client.command('NOOP')).rejects.toThrow(/did not come: (?!not within)/);
      });

      for (const [verdict, answer, code, extended] of [
        ['REJECT', REJECT, '551', '5.7.1'],
        ['TEMPFAIL', TEMPFAIL, '451', '4.7.1'],
      ] as const) {
        test(`${verdict} for an unknown command: the command's reply, except for REJECT on Postfix 3.10`, async () => {
          const unknown = { call: [['setreply', code, extended, 'one', 'two']], answer } as const;
          const [reply, delivered] = await unknownThenMessage(kind, unknown);
          const isHeard = answer === TEMPFAIL || behaviourOf(mtas.mta(kind)).rejectsUnknownCommand;
          const refused = '500 5.5.2 Error: command not recognized';
          expect(reply).toBe(isHeard ? `${code}-${extended} one|${code} ${extended} two` : refused);
          expect(delivered).toBe(true);
        });
      }

      // These say nothing about a command, and the package takes them as CONTINUE: passed on, Postfix's smtpd would break
      // off in the next message ("panic: milter8_mail_event: bad state 7"), and Sendmail would discard that.
      for (const [verdict, answer] of [
        ['ACCEPT', ACCEPT],
        ['DISCARD', DISCARD],
      ] as const) {
        test(`${verdict} for an unknown command: the session continues`, async () => {
          const [reply, delivered] = await unknownThenMessage(kind, { answer });
          expect(reply).toMatch(/^500 5\.5\.[12] /);
          expect(delivered).toBe(true);
        });
      }
    });
  }

  /** The reply to an unknown command, and whether the session's next message was delivered. */
  async function unknownThenMessage(
    kind: Kind,
    unknown: object,
  ): Promise<[reply: string, delivered: boolean]> {
    await mtas.filter().use({ handlers: { ...filterWith('eom', {}), unknown } });
    using client = await mtas.open(kind);
    await client.command('EHLO client.test');
    const reply = heard(await client.command('XYZZY'));
    const id = nextId();
    expect((await converse(client, id))['.'] ?? '').toMatch(/^250 /);
    await client.quit();
    return [reply, await mtas.wasDelivered(kind, id)];
  }
});
