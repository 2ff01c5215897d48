// header, eoh and body are answered at the end of the message, unless `immediate`. The SMTP client must not be able to
// tell: each case here runs both ways, and the two dialogues are compared line by line, as are the handlers that were
// called and what was delivered.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCEPT, DISCARD, REJECT, SKIP, TEMPFAIL } from 'tsmilter';
import { TIMEOUT } from '../../tools/wait';
import type { Act, Acts } from '../fixtures/script';
import { expectThat } from '../support/expect';
import { heard } from './support/conversation';
import { defaultReplies } from './support/default-replies';
import { compose, type Kind, kinds, MtaFixture, nextId } from './support/mta-fixture';

/**
 * The cases, by their titles, in which the two ways differ, for the docs to cite. What the SMTP client hears and
 * what is delivered differs nowhere: both MTAs keep what a filter says of header, eoh and body until the final dot.
 * Handlers: Sendmail understands SKIP of a header as SKIP of the body; a deferred SKIP stays within the binding.
 */
const differences: Readonly<Record<Kind, readonly string[]>> = {
  sendmail: ['SKIP in the second header: no other is shown, the body is'],
  postfix: [],
};

const deferred = ['header', 'eoh', 'body'] as const;
type Handler = (typeof deferred)[number];

const small = 'a line\r\n';
/** Many batches: they are handed over at 256 KiB. */
const large = `${'x'.repeat(78)}\r\n`.repeat(16_000);

interface Expected {
  /** To the final dot; undefined for 250. */
  readonly reply?: string;
  readonly delivered: boolean;
}

interface Case {
  readonly title: string;
  readonly handlers: Acts;
  readonly body?: string;
  readonly expected: Expected | ((kind: Kind) => Expected);
  /** What the calls of handlers must be besides equal. */
  readonly calls?: (calls: readonly string[]) => void;
}

const set = (code: string, extended: string, ...lines: string[]): Pick<Act, 'call'> => ({
  call: [['setreply', code, extended, ...lines]],
});

/** Every verdict of one handler, with and without setreply. */
function verdictsOf(handler: Handler, body: string, where: string): Case[] {
  const cases: Case[] = [];
  const add = (title: string, act: Act, expected: Case['expected']) =>
    cases.push({ title: `${title} in ${handler}${where}`, handlers: { [handler]: act }, body, expected });
  for (const [verdict, answer, digit] of [
    ['REJECT', REJECT, 5],
    ['TEMPFAIL', TEMPFAIL, 4],
  ] as const) {
    const [code, extended] = [`${digit}51`, `${digit}.7.1`];
    add(verdict, { answer }, (kind) => ({ reply: defaultReplies[verdict][kind].eom, delivered: false }));
    add(
      `${verdict} with a line`,
      { ...set(code, extended, '100%% sure'), answer },
      { reply: `${code} ${extended} 100% sure`, delivered: false },
    );
    add(
      `${verdict} with three lines`,
      { ...set(code, extended, 'one', 'two', 'three'), answer },
      {
        reply: ['one', 'two', 'three']
          .map((line, i) => `${code}${i < 2 ? '-' : ' '}${extended} ${line}`)
          .join('|'),
        delivered: false,
      },
    );
  }
  add('DISCARD', { answer: DISCARD }, { delivered: false });
  add('ACCEPT', { answer: ACCEPT }, { delivered: true });
  return cases;
}

const counted = (calls: readonly string[], name: string) => calls.filter((call) => call === name).length;

const cases: Case[] = [
  ...deferred.flatMap((handler) => verdictsOf(handler, small, '')),
  ...(['header', 'body'] as const).flatMap((handler) => verdictsOf(handler, large, ', 1 MB')),
  {
    title: 'nobody objects',
    handlers: {},
    expected: { delivered: true },
    calls: (calls) =>
      expect([counted(calls, 'header'), counted(calls, 'body'), calls.at(-1)]).toStrictEqual([4, 1, 'eom']),
  },
  {
    title: 'REJECT in the third header: the fourth is not shown',
    handlers: { header: [{}, {}, { ...set('551', '5.7.1', 'third'), answer: REJECT }] },
    expected: { reply: '551 5.7.1 third', delivered: false },
    calls: (calls) => expect(counted(calls, 'header')).toBe(3),
  },
  {
    title: 'REJECT in the tenth chunk of a body',
    handlers: { body: [...Array(9).fill({}), { ...set('551', '5.7.1', 'tenth'), answer: REJECT }] },
    body: large,
    expected: { reply: '551 5.7.1 tenth', delivered: false },
    calls: (calls) => expect(counted(calls, 'body')).toBe(10),
  },
  {
    title: 'TEMPFAIL in an asynchronous header',
    handlers: { header: { wait: 5, afterwards: [['setreply', '451', '4.7.1', 'later']], answer: TEMPFAIL } },
    expected: { reply: '451 4.7.1 later', delivered: false },
  },
  {
    title: 'REJECT in an asynchronous body, 1 MB',
    handlers: { body: { wait: 5, afterwards: [['setreply', '551', '5.7.1', 'no']], answer: REJECT } },
    body: large,
    expected: { reply: '551 5.7.1 no', delivered: false },
    calls: (calls) => expect(counted(calls, 'body')).toBe(1),
  },
  ...deferred.map(
    (handler): Case => ({
      title: `an exception in ${handler}`,
      handlers: { [handler]: { throws: 'oops' } },
      expected: { reply: '451 4.3.0 fixture: untrapped exception', delivered: false },
    }),
  ),
  {
    title: 'an exception in body, 1 MB',
    handlers: { body: { wait: 1, throws: 'oops' } },
    body: large,
    expected: { reply: '451 4.3.0 fixture: untrapped exception', delivered: false },
  },
  {
    title: 'a reply set in header, REJECT in eom',
    handlers: { header: set('551', '5.7.1', 'set in header'), eom: { answer: REJECT } },
    expected: { reply: '551 5.7.1 set in header', delivered: false },
  },
  {
    title: 'a reply of either class set in header, TEMPFAIL in body, 1 MB',
    handlers: {
      header: {
        call: [
          ['setreply', '551', '5.7.1', 'five'],
          ['setreply', '451', '4.7.1', 'four'],
        ],
      },
      body: { answer: TEMPFAIL },
    },
    body: large,
    expected: { reply: '451 4.7.1 four', delivered: false },
  },
  {
    title: '421 with TEMPFAIL in header: the session ends after the reply',
    handlers: { header: { ...set('421', '4.7.0', 'go away'), answer: TEMPFAIL } },
    expected: { reply: '421 4.7.0 go away', delivered: false },
  },
  {
    title: 'SKIP in the first chunk of a body: no other is shown, eom is',
    handlers: { body: { answer: SKIP } },
    body: large,
    expected: { delivered: true },
    calls: (calls) => expect([counted(calls, 'body'), calls.at(-1)]).toStrictEqual([1, 'eom']),
  },
  {
    title: 'SKIP in the second header: no other is shown, the body is',
    handlers: { header: [{}, { answer: SKIP }] },
    expected: { delivered: true },
    calls: (calls) => expect([counted(calls, 'header'), counted(calls, 'body')]).toStrictEqual([2, 1]),
  },
  {
    title: 'ACCEPT in header, 1 MB: the body is not shown',
    handlers: { header: { answer: ACCEPT } },
    body: large,
    expected: { delivered: true },
    calls: (calls) => expect(calls.at(-1)).toBe('header'),
  },
];

describe('deferred verdicts', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  /** Two messages in a session, the second as a sign that the first left nothing behind. */
  async function dialogue(kind: Kind, { handlers, body = small }: Case, immediate: boolean) {
    const filter = mtas.filter();
    const all = { header: {}, eoh: {}, body: {}, eom: {}, close: {} };
    await filter.use({ handlers: { ...all, ...handlers }, statics: { immediate } });
    using client = await mtas.open(kind);
    await client.command('EHLO client.test');
    const id = nextId();
    const said: string[] = [];
    for (const command of ['MAIL FROM:<from@src.test>', 'RCPT TO:<rcpt@dest.test>', 'DATA'])
      said.push(heard(await client.command(command)));
    // names of queue files
    const last = heard(await client.content(compose(id, [], body))).replace(
      /\b(?=\w*\d)[0-9A-Za-z]{10,}\b/,
      'QUEUED',
    );
    said.push(last);
    if (last.startsWith('421')) said.push(await client.command('NOOP').then(heard, () => 'gone'));
    else said.push(heard(await client.command('MAIL FROM:<from@src.test>')), heard(await client.quit()));
    await filter.event('close', TIMEOUT);
    const calls = (await filter.events()).map(([name]) => name).filter((name) => name !== 'result');
    return { said, last, calls, delivered: await mtas.wasDelivered(kind, id) };
  }

  for (const kind of kinds) {
    describe(kind, () => {
      for (const one of cases) {
        test(one.title, async () => {
          const now = await dialogue(kind, one, true);
          const later = await dialogue(kind, one, false);
          expectThat([later.said, later.delivered], 'the dialogue, deferred and immediate').toStrictEqual([
            now.said,
            now.delivered,
          ]);
          const differ = differences[kind].includes(one.title);
          const handlers = expectThat(later.calls, 'handlers, deferred and immediate');
          (differ ? handlers.not : handlers).toStrictEqual(now.calls);
          const expected = typeof one.expected === 'function' ? one.expected(kind) : one.expected;
          if (expected.reply === undefined) expect(later.last).toMatch(/^250 2\.0\.0 /);
          else expect(later.last).toBe(expected.reply);
          expect(later.delivered).toBe(expected.delivered);
          one.calls?.(later.calls.filter((name) => !['new', 'report'].includes(name)));
        });
      }
    });
  }
});
