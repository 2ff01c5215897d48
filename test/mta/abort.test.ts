// Transactions and connections that end early: abort comes once for each message that ends without eom, and close once, after
// it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCEPT, DISCARD, REJECT } from 'tsmilter';
import { TIMEOUT } from '../../tools/wait';
import type { Acts } from '../fixtures/script';
import { expectThat } from '../support/expect';
import { type Kind, kinds, MtaFixture } from './support/mta-fixture';

const every: Acts = Object.fromEntries(
  'connect hello envfrom envrcpt data header eoh body eom abort close'.split(' ').map((name) => [name, {}]),
);

const endpoint = 'inet';
const content = 'X-A: b\r\n\r\na line\r\n';
const mail = ['MAIL FROM:<from@src.test>'];
const rcpt = [...mail, 'RCPT TO:<rcpt@dest.test>'];
const message = [...rcpt, 'DATA', '.'];

/** What the client says, `.` being content, and what is called; the client then just hangs up. */
const cases: readonly (readonly [title: string, said: readonly string[], called: string])[] = [
  ['at once', [], ''],
  ['after EHLO', ['EHLO'], 'hello'],
  ['QUIT at once', ['QUIT'], ''],
  ['RSET without a message', ['EHLO', 'RSET', 'RSET'], 'hello'],
  ['RSET after MAIL', ['EHLO', ...mail, 'RSET', 'QUIT'], 'hello envfrom abort'],
  ['RSET after RCPT, twice', ['EHLO', ...rcpt, 'RSET', 'RSET'], 'hello envfrom envrcpt abort'],
  [
    'RSET, and another message',
    ['EHLO', ...mail, 'RSET', ...message, 'QUIT'],
    'hello envfrom abort envfrom envrcpt data header eoh body eom',
  ],
  ['EHLO after MAIL', ['EHLO', ...mail, 'EHLO', 'QUIT'], 'hello envfrom abort hello'],
  ['hangs up after MAIL', ['EHLO', ...mail], 'hello envfrom abort'],
  ['hangs up after RCPT', ['EHLO', ...rcpt], 'hello envfrom envrcpt abort'],
  ['QUIT after RCPT', ['EHLO', ...rcpt, 'QUIT'], 'hello envfrom envrcpt abort'],
  // neither MTA begins to show a message before it has all of it
  ['hangs up in the content', ['EHLO', ...rcpt, 'DATA', '..'], 'hello envfrom envrcpt data abort'],
  ['hangs up after a message', ['EHLO', ...message], 'hello envfrom envrcpt data header eoh body eom'],
  [
    'hangs up in the second message',
    ['EHLO', ...message, ...mail],
    'hello envfrom envrcpt data header eoh body eom envfrom abort',
  ],
  [
    'no recipient is left',
    ['EHLO', ...mail, 'RCPT TO:<mtareject@dest.test>', 'DATA', 'QUIT'],
    'hello envfrom abort',
  ],
];

// Postfix says abort after every message too, and twice more before it quits. libmilter is to keep that from the filter,
// and cannot always: a step that any session of the process has negotiated away may be skipped in all (fix_stm in its
// engine.c), and then its state machine finds a way from "no message" to "abort". So the package does.
//
// Over TCP, because at the end of a connection through a unix socket libmilter may not look at what came last.
describe('abort', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ endpoints: [endpoint] });
  });
  afterAll(() => mtas?.stop());

  /** The handlers that a session calls, repeated headers once. */
  async function called(kind: Kind, handlers: Acts, said: readonly string[]): Promise<string[]> {
    const filter = mtas.filter(endpoint);
    await filter.use({ handlers });
    using client = await mtas.open(kind, endpoint);
    for (const line of said) {
      if (line === '.') await client.content(content);
      else if (line === '..') client.write(`${content}half a li`);
      else await client.command(line === 'EHLO' ? 'EHLO client.test' : line);
    }
    client.destroy();
    await filter.event('close', TIMEOUT);
    const names = (await filter.events()).map(([name]) => name);
    return names.filter((name, i) => name !== 'header' || names[i - 1] !== 'header');
  }

  for (const kind of kinds) {
    describe(kind, () => {
      for (const [title, said, wanted] of cases) {
        test(title, async () => {
          const names = ['new', 'connect', ...wanted.split(' ').filter(Boolean)];
          expect(await called(kind, every, said)).toStrictEqual(names);
        });
      }

      for (const [verdict, answer] of [
        ['CONTINUE', undefined],
        ['ACCEPT', ACCEPT],
        ['REJECT', REJECT],
        ['DISCARD', DISCARD],
      ] as const) {
        test(`none for a message that ended with ${verdict}`, async () => {
          const eom = answer === undefined ? {} : { answer };
          const handlers = { body: {}, eom, abort: {}, close: {} };
          const names = await called(kind, handlers, ['EHLO', ...message, ...message, 'QUIT']);
          expect(names).toStrictEqual(['new', 'body', 'eom', 'body', 'eom']);
        });
      }

      test('none for a message that a verdict on a header has ended', async () => {
        const handlers = { header: { answer: REJECT }, eom: {}, abort: {}, close: {} };
        const names = await called(kind, handlers, ['EHLO', ...message, 'RSET', 'QUIT']);
        expect(names).toStrictEqual(['new', 'header']);
      });

      test('at most one if all steps of the envelope are negotiated away', async () => {
        const names = await called(kind, { eom: {}, abort: {}, close: {} }, [
          'EHLO',
          ...rcpt,
          'RSET',
          'QUIT',
        ]);
        expectThat(names.filter((name) => name === 'abort').length, names.join(' ')).toBeLessThanOrEqual(1);
      });
    });
  }
});

describe('abort after a MAIL without reply', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ endpoints: [endpoint], fixture: 'logging' }); // its envfrom is marked noreply
  });
  afterAll(() => mtas?.stop());

  // Sendmail does not send it then; libmilter makes it up when it sees the next MAIL.
  for (const kind of kinds) {
    test(`${kind}: it comes before the next message at the latest`, async () => {
      using client = await mtas.open(kind, endpoint);
      for (const line of ['EHLO client.test', ...rcpt, 'RSET', ...rcpt, 'DATA']) await client.command(line);
      await client.content(content);
      await client.quit();
      const steps: unknown[] = [];
      while (steps.at(-1) !== 'close') steps.push((await mtas.filter(endpoint).event('log', TIMEOUT))[2]);
      const envelope = steps.filter((step) => /^(mail from|rcpt to|abort|eom)$/.test(String(step)));
      expect(envelope).toStrictEqual(['mail from', 'rcpt to', 'abort', 'mail from', 'rcpt to', 'eom']);
    });
  }
});
