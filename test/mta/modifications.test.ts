// Modifications of envelope and body, quarantine, and all together, as they show in what is delivered; those of headers
// are in header-modifications.test.ts. Where the two MTAs understand a request differently, the table says how.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { REJECT } from 'tsmilter';
import { endpointNames } from '../../tools/mta';
import { behaviourOf } from '../../tools/mta/versions';
import { expectThat } from '../support/expect';
import { itUnless } from '../support/skip';
import { type Call, compose, kinds, MtaFixture, nextId, skipWithout } from './support/mta-fixture';
import { bodyOf, forMta, headerLine, type PerMta, spelled } from './support/view';

/** What eom calls, and what is delivered. */
type Case<T> = readonly [title: string, calls: readonly Call[], delivered: PerMta<T>];

const threeHeaders = ['X-One: a', 'X-Two: b', 'X-One: c'];
const head = 'Received | From | To | Date';

const rcpt = '<rcpt@dest.test>';
const two = '<two@dest.test>';
const added = '<new@dest.test>';

/** Recipients are compared sorted: Sendmail turns their order around, and Postfix adds them in front. */
const envelopeCases: Case<readonly string[]>[] = [
  ['addrcpt', [['addrcpt', added]], ['<from@src.test>', added, rcpt, two]],
  ['addrcpt without angle brackets', [['addrcpt', 'new@dest.test']], ['<from@src.test>', added, rcpt, two]],
  [
    'addrcpt with parameters',
    [['addrcpt', added, 'NOTIFY=NEVER']],
    ['<from@src.test>', `${added} NOTIFY=NEVER`, rcpt, two],
  ],
  [
    'addrcpt of one that is there: Postfix delivers it twice',
    [['addrcpt', rcpt]],
    { sendmail: ['<from@src.test>', rcpt, two], postfix: ['<from@src.test>', rcpt, rcpt, two] },
  ],
  ['delrcpt', [['delrcpt', rcpt]], ['<from@src.test>', two]],
  ['delrcpt without angle brackets', [['delrcpt', 'rcpt@dest.test']], ['<from@src.test>', two]],
  ['delrcpt in other letters: none', [['delrcpt', '<RCPT@dest.test>']], ['<from@src.test>', rcpt, two]],
  ['delrcpt of one that is not there', [['delrcpt', added]], ['<from@src.test>', rcpt, two]],
  [
    'all recipients replaced',
    [
      ['delrcpt', rcpt],
      ['delrcpt', two],
      ['addrcpt', added],
    ],
    ['<from@src.test>', added],
  ],
  ['chgfrom', [['chgfrom', '<new@src.test>']], ['<new@src.test>', rcpt, two]],
  ['chgfrom without angle brackets', [['chgfrom', 'new@src.test']], ['<new@src.test>', rcpt, two]],
  ['chgfrom to the null sender', [['chgfrom', '<>']], ['<>', rcpt, two]],
  [
    'chgfrom with parameters',
    [['chgfrom', '<new@src.test>', 'ENVID=abc RET=HDRS']],
    ['<new@src.test> ENVID=abc RET=HDRS', rcpt, two],
  ],
];

/** Recipients that a client may name, and that no filter may add. */
const ODD_RECIPIENTS = [
  '<a\\ b@dest.test>',
  '<(c)a@dest.test>',
  '<a@dest.test(c)>',
  '<a:b@dest.test>',
  '<"\x01"@dest.test>',
  '<a\t@dest.test>',
  '<a @dest.test>',
  '< a@dest.test >',
  '<"a"."b"@dest.test>',
  '<[a]@dest.test>',
];

const replace = (...pieces: (string | Buffer)[]): Call[] => pieces.map((piece) => ['replacebody', piece]);

/** 200 KiB: more than three of the pieces that libmilter cuts it into, and lines across each cut. */
const big = `${'0123456789'.repeat(8)}.\r\n`.repeat(2500);

const bodyCases: Case<string>[] = [
  ['in one call', replace('new\r\n'), 'new\r\n'],
  ['in several calls', replace('one ', 'two\r\n', 'three\r\n'), 'one two\r\nthree\r\n'],
  ['a CRLF across two calls', replace('one\r', '\ntwo\r', '\n'), 'one\r\ntwo\r\n'],
  ['lines of dots', replace('.\r\n..\r\n.x\r\nend\r\n'), '.\r\n..\r\n.x\r\nend\r\n'],
  ['a dot and its CRLF in two calls', replace('a\r\n', '.', '\r\nb\r\n'), 'a\r\n.\r\nb\r\n'],
  ['a lone LF becomes CRLF', replace('a\nb\n\nc\n'), 'a\r\nb\r\n\r\nc\r\n'],
  ['a lone CR stays', replace('a\rb\r\n'), 'a\rb\r\n'],
  ['a last line without end gets one', replace('abc'), 'abc\r\n'],
  ['nothing in its place', replace(''), ''],
  ['empty lines', replace('\r\n\r\na\r\n\r\n'), '\r\n\r\na\r\n\r\n'],
  ['eight-bit bytes and NUL', replace(Buffer.from('\x80\xff\0\xc3\r\n', 'latin1')), '\x80\xff\0\xc3\r\n'],
  ['200 KiB', replace(big), big],
  ['200 KiB in a hundred calls', replace(...(big.match(/[\s\S]{2075}/g) as string[])), big],
];

describe('modifications', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ endpoints: endpointNames });
  });
  afterAll(() => mtas?.stop());

  // Its own fault (milter_addrcpt_par in milter.c writes there unasked): the client loses count of the replies.
  test('addrcpt with parameters that Sendmail refuses: Sendmail prints an error into the SMTP session', async () => {
    await expect(mtas.modify('sendmail', [['addrcpt', added, 'NONSENSE=1']])).rejects.toThrow(
      /olderrors=0, Errors=1\n250 /,
    );
  });

  for (const kind of kinds) {
    describe(`envelope: ${kind}`, () => {
      for (const [title, calls, expected] of envelopeCases) {
        test(title, async () => {
          const { id, last } = await mtas.modify(kind, calls, { to: ['rcpt@dest.test', 'two@dest.test'] });
          expectThat(last.code, last.text).toBe(250);
          const { mailFrom, rcptTo } = await mtas.delivered(id);
          // Postfix tells the next host of the original recipient
          const recipients = rcptTo.map((address) => spelled(address).replace(/ ORCPT=\S+/, ''));
          expect([spelled(mailFrom), ...recipients.sort()]).toStrictEqual(forMta(expected, kind));
        });
      }

      test.each(ODD_RECIPIENTS)('delrcpt of %j, as envrcpt got it', async (odd) => {
        const filter = mtas.filter();
        await filter.use({ handlers: { envrcpt: {}, eom: { call: [['delrcpt', odd]] } } });
        const client = await mtas.open(kind);
        const id = nextId();
        await client.command('EHLO client.test');
        await client.command('MAIL FROM:<from@src.test>');
        expect((await client.command(`RCPT TO:${odd}`)).code).toBe(250);
        expect((await client.command(`RCPT TO:${rcpt}`)).code).toBe(250);
        await client.command('DATA');
        const end = await client.content(compose(id, [], 'a line\r\n'));
        await client.quit();
        expectThat(end.code, end.text).toBe(250);
        const { rcptTo } = await mtas.delivered(id);
        expect(rcptTo.map(({ address }) => address)).toStrictEqual(['rcpt@dest.test']);
      });

      test('all recipients deleted: the message is accepted and not delivered', async () => {
        const { id, last } = await mtas.modify(kind, [['delrcpt', rcpt]]);
        expectThat(last.code, last.text).toBe(250);
        expect(await mtas.wasDelivered(kind, id)).toBe(false);
      });
    });

    describe(`replacebody: ${kind}`, () => {
      test('with another modification between two calls: Postfix defers the message', async () => {
        const calls: Call[] = [...replace('one\r\n'), ['addheader', 'X-New', 'v'], ...replace('two\r\n')];
        const { id, last } = await mtas.modify(kind, calls);
        expectThat(last.code, last.text).toBe(forMta({ sendmail: 250, postfix: 451 }, kind));
        if (kind === 'sendmail')
          expect(bodyOf(await mtas.delivered(id)).toString('latin1')).toBe('one\r\ntwo\r\n');
      });

      for (const [title, calls, expected] of bodyCases) {
        test(title, async () => {
          const { id, last } = await mtas.modify(kind, calls, { body: 'the old body\r\n'.repeat(3) });
          expectThat(last.code, last.text).toBe(250);
          const body = bodyOf(await mtas.delivered(id)).toString('latin1');
          // not assert.equal, which would print all 200 KiB
          const wanted = forMta(expected, kind);
          expectThat(body, `${body.length} bytes: ${JSON.stringify(body.slice(0, 100))}`).toBe(wanted);
        });
      }
    });

    describe(`quarantine: ${kind}`, () => {
      /** What of a message lies in quarantine. */
      const heldOf = (id: string) =>
        mtas
          .mta(kind)
          .quarantined()
          .filter((text) => text.includes(`<${id}@`));

      test('holds the message; Sendmail keeps the reason', async () => {
        const reason = 'looks odd: 50% <x@y>';
        const { id, last } = await mtas.modify(kind, [['quarantine', reason]]);
        expectThat(last.code, last.text).toBe(250);
        expect(await mtas.wasDelivered(kind, id)).toBe(false);
        const [held = '', ...more] = heldOf(id);
        expect(more).toHaveLength(0);
        expect(held).toMatch(/rcpt@dest\.test/);
        expect(/^qlooks odd: 50% <x@y>$/m.test(held)).toBe(kind === 'sendmail');
        const { quarantineLog } = behaviourOf(mtas.mta(kind));
        if (quarantineLog) expect(mtas.mta(kind).log()).toContain(quarantineLog(reason));
      });

      test('can be combined with other modifications', async () => {
        const { id, last } = await mtas.modify(kind, [
          ['addheader', 'X-New', 'before'],
          ['quarantine', 'reason'],
          ['addheader', 'X-New-Too', 'after'],
        ]);
        expectThat(last.code, last.text).toBe(250);
        const [held = ''] = heldOf(id);
        expect(held).toMatch(/X-New: before[\s\S]*X-New-Too: after/);
      });

      test('a verdict other than CONTINUE or ACCEPT takes precedence', async () => {
        const filter = mtas.filter();
        await filter.use({ handlers: { eom: { call: [['quarantine', 'reason']], answer: REJECT } } });
        const { id, last } = await mtas.submit(kind);
        expectThat(Math.floor(last.code / 100), last.text).toBe(5);
        expect(await mtas.wasDelivered(kind, id)).toBe(false);
        expect(heldOf(id)).toStrictEqual([]);
      });
    });

    for (const endpoint of endpointNames) {
      itUnless(skipWithout(endpoint), `all of them at once: ${kind}, ${endpoint}`, async () => {
        const calls: Call[] = [
          ['addheader', 'X-New', 'last'],
          ['addheader', 'X-New', 'first', 0],
          ['chgheader', 'X-One', 1, 'changed'],
          ['chgheader', 'X-Two', 1, null],
          ['addrcpt', added, 'NOTIFY=NEVER'],
          ['delrcpt', two],
          ['chgfrom', '<new@src.test>'],
          ['progress'],
          ...replace(big, big),
        ];
        const mail = {
          endpoint,
          headers: threeHeaders,
          to: ['rcpt@dest.test', 'two@dest.test'],
          body: 'old\r\n',
        };
        const { id, last } = await mtas.modify(kind, calls, mail);
        expectThat(last.code, last.text).toBe(250);
        const message = await mtas.delivered(id);
        expect(headerLine(message)).toBe(
          `X-New: first | ${head} | X-One: changed | X-One: c | Message-Id | X-New: last`,
        );
        expect(message.mailFrom.address).toBe('new@src.test');
        expect(message.rcptTo.map(({ address }) => address).sort()).toStrictEqual([
          'new@dest.test',
          'rcpt@dest.test',
        ]);
        expectThat(bodyOf(message).equals(Buffer.from(big + big)), 'the new body, twice 200 KiB').toBe(true);
      });
    }
  }
});
