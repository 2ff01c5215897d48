// Bytes are preserved from arrival to sending back: headers and bodies that are not UTF-8, addresses with SMTPUTF8, and the space
// after a header's colon.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { endpointNames } from '../../tools/mta';
import { TIMEOUT } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { itUnless } from '../support/skip';
import { heard } from './support/conversation';
import { type Call, type Kind, kinds, MtaFixture, skipWithout } from './support/mta-fixture';
import { bodyOf, forMta, headersOf, type PerMta, spelled } from './support/view';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Header values: their bytes (as latin1), and the string that a handler gets of them. */
const values: readonly (readonly [title: string, bytes: string, text: string])[] = [
  ['UTF-8', 'gr\xc3\xbc\xc3\x9fe', 'grüße'],
  ['UTF-8 outside the first plane', '\xf0\x9f\x98\x80!', '\u{1f600}!'],
  ['Latin-1', 'gr\xfcn \xff', 'gr\udcfcn \udcff'],
  ['UTF-8 and other bytes in one', '\xc3\xbc\xfc\xc3', 'ü\udcfc\udcc3'],
  ['a surrogate in UTF-8, which is none', '\xed\xb3\xbc', '\udced\udcb3\udcbc'],
  [
    'bytes that Sendmail uses inside itself',
    '\x80\x81\x85\x8f\x90\x9f\xa0',
    '\udc80\udc81\udc85\udc8f\udc90\udc9f\udca0',
  ],
  ['every byte above 127', bytesFrom(128), decoded(128)],
  ['control characters', 'a\x01\x02\x1b\x7fb', 'a\x01\x02\x1b\x7fb'],
  ['other bytes around a fold', '\xfc\r\n\t\xfc', '\udcfc\n\t\udcfc'],
];

function bytesFrom(first: number): string {
  return Array.from({ length: 256 - first }, (_, i) => String.fromCharCode(first + i)).join('');
}

function decoded(first: number): string {
  return Array.from({ length: 256 - first }, (_, i) => String.fromCharCode(0xdc00 + first + i)).join('');
}

/** Spaces after the colon, and what a handler gets without and with headerLeadingSpace. */
const spaces: readonly (readonly [line: string, without: string, withSpace: string])[] = [
  ['X-S0:value', 'value', 'value'],
  ['X-S1: value', 'value', ' value'],
  ['X-S2:  value', ' value', '  value'],
  ['X-S3: \tvalue', '\tvalue', ' \tvalue'],
  ['X-S4:\tvalue', '\tvalue', '\tvalue'],
  ['X-S5:', '', ''],
  ['X-S6: ', '', ' '],
];

describe('bytes', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ endpoints: endpointNames });
  });
  afterAll(() => mtas?.stop());

  for (const kind of kinds) {
    describe(kind, () => {
      for (const [title, bytes, text] of values) {
        test(`a header arrives unchanged: ${title}`, async () => {
          await mtas.filter().use({ handlers: { header: {} } });
          const { id, last } = await mtas.submit(kind, { headers: [latin1(`X-In: ${bytes}`)] });
          expectThat(last.code, last.text).toBe(250);
          const told = await mtas.filter().events();
          expect(told.find(([, name]) => name === 'X-In')).toStrictEqual(['header', 'X-In', text]);
          const { raw } = await mtas.delivered(id);
          expectThat(raw.includes(latin1(`\r\nX-In: ${bytes}\r\n`)), raw.toString('latin1')).toBe(true);
        });

        test(`a header that a handler sends back is unchanged: ${title}`, async () => {
          const { id, last } = await mtas.modify(
            kind,
            [
              ['addheader', 'X-Added', text],
              ['addheader', 'X-Inserted', text, 1],
              ['chgheader', 'X-Changed', 1, text],
            ],
            { headers: ['X-Changed: old'] },
          );
          expectThat(last.code, last.text).toBe(250);
          const fields = headersOf(await mtas.delivered(id));
          const wanted = bytes.replaceAll('\r\n', '\n');
          for (const name of ['X-Added', 'X-Inserted', 'X-Changed'])
            expect(fields).toContain(`${name}: ${wanted}`);
        });
      }

      const nul: PerMta<string> = { sendmail: 'ab', postfix: 'a' };
      test('a NUL in a header: neither MTA passes it on', async () => {
        await mtas.filter().use({ handlers: { header: {} } });
        const { id } = await mtas.submit(kind, { headers: ['X-In: a\0b'] });
        const told = await mtas.filter().events();
        expect(told.find(([, name]) => name === 'X-In')).toStrictEqual(['header', 'X-In', forMta(nul, kind)]);
        expect(headersOf(await mtas.delivered(id))).toContain(`X-In: ${forMta(nul, kind)}`);
      });

      for (const [policy, value] of [
        ['bytes', latin1('gr\xfcn \xc3\xbc')],
        ['strict', latin1('gr\xfcn \xc3\xbc')],
        ['ignore', 'grn ü'],
        ['replace', 'gr\ufffdn ü'],
      ] as const) {
        test(`a header decoded as ${policy}`, async () => {
          await mtas.filter().use({ handlers: { header: {} }, statics: { decode: { header: policy } } });
          await mtas.submit(kind, { headers: [latin1('X-In: gr\xfcn \xc3\xbc')] });
          const told = await mtas.filter().events();
          const [, , found] = told.find(([, name]) => `${name}` === 'X-In') ?? [];
          expect(found instanceof Uint8Array ? Buffer.from(found) : found).toStrictEqual(value);
        });
      }

      for (const endpoint of endpointNames) {
        itUnless(skipWithout(endpoint), `a body of every byte, in and out: ${endpoint}`, async () => {
          const noLineEnds = bytesFrom(0).replace(/[\r\n]/g, '');
          const body = latin1(`${noLineEnds}\r\n`.repeat(400));
          const filter = mtas.filter(endpoint);
          await filter.use({ handlers: { body: {}, eom: {} } });
          const plain = await mtas.submit(kind, { body, endpoint, mailParams: 'BODY=8BITMIME' });
          expectThat(plain.last.code, plain.last.text).toBe(250);
          const chunks = (await filter.eventsOf('body')).map(([, chunk]) => chunk as Buffer);
          expectThat(Buffer.concat(chunks).equals(body), 'the handler gets what was sent').toBe(true);
          expectThat(bodyOf(await mtas.delivered(plain.id)).equals(body), 'and so does the recipient').toBe(
            true,
          );

          const replaced = await mtas.modify(kind, [['replacebody', body]], { endpoint, body: 'old\r\n' });
          expectThat(replaced.last.code, replaced.last.text).toBe(250);
          expectThat(
            bodyOf(await mtas.delivered(replaced.id)).equals(body),
            'the new body is what was passed',
          ).toBe(true);
        });
      }

      for (const headerLeadingSpace of [false, true]) {
        test(`the space after the colon, headerLeadingSpace ${headerLeadingSpace}`, async () => {
          const headers = spaces.map(([line, without, withSpace]) => {
            const [name = ''] = line.split(':');
            const value = headerLeadingSpace ? withSpace : without;
            return { line, name, value, sent: headerLeadingSpace ? value : ` ${value}` };
          });
          // what came goes out again; an empty value would delete the header
          const filled = headers.filter(({ value }) => value !== '');
          const calls = filled.flatMap(({ name, value }): Call[] => [
            ['chgheader', name, 1, value],
            ['addheader', `${name}-Added`, value],
          ]);
          const filter = mtas.filter();
          await filter.use({
            handlers: { header: {}, eom: { call: calls } },
            statics: { headerLeadingSpace },
          });
          const { id, last } = await mtas.submit(kind, { headers: headers.map(({ line }) => line) });
          expectThat(last.code, last.text).toBe(250);
          expect((await filter.events()).filter(([, name]) => `${name}`.startsWith('X-S'))).toStrictEqual(
            headers.map(({ name, value }) => ['header', name, value]),
          );
          const fields = headersOf(await mtas.delivered(id)).filter((field) => field.startsWith('X-S'));
          expect(fields).toStrictEqual([
            ...headers.map(({ line, name, value, sent }) => (value === '' ? line : `${name}:${sent}`)),
            ...filled.map(({ name, sent }) => `${name}-Added:${sent}`),
          ]);
        });
      }

      test('unknown commands and addresses with other bytes', async () => {
        const filter = mtas.filter();
        await filter.use({ handlers: { unknown: {}, envfrom: {}, close: {} } });
        using client = await mtas.open(kind);
        await client.command('EHLO client.test');
        await client.command(latin1('XY\xfc\xff z'));
        await client.command(latin1('MAIL FROM:<gr\xfcn@src.test>'));
        await client.quit();
        await filter.event('close', TIMEOUT);
        // Postfix refuses what is not UTF-8 before anybody sees it
        const seen = [
          ['unknown', 'XY\udcfc\udcff z'],
          ['envfrom', '<gr\udcfcn@src.test>'],
        ];
        expect(await filter.events()).toStrictEqual([['new'], ...(kind === 'sendmail' ? seen : [])]);
      });
    });
  }

  /** The MTA's replies to MAIL and RCPT of an SMTPUTF8 message, and what a filter heard. */
  async function internationalEnvelope(kind: Kind) {
    const filter = mtas.filter();
    await filter.use({ handlers: { envfrom: {}, envrcpt: {}, close: {} } });
    using client = await mtas.open(kind);
    await client.command('EHLO client.test');
    const replies = [
      heard(await client.command('MAIL FROM:<grün@src.test> SMTPUTF8')),
      heard(await client.command('RCPT TO:<用户@dést.test>')),
    ].map((reply) => reply.slice(0, 3));
    await client.quit();
    await filter.event('close', TIMEOUT);
    return { replies, events: await filter.events() };
  }

  test('SMTPUTF8: Debian builds Sendmail without it', async () => {
    expect(await internationalEnvelope('sendmail')).toStrictEqual({
      replies: ['555', '503'],
      events: [['new']],
    });
  });

  test('SMTPUTF8: Postfix shows addresses as UTF-8', async () => {
    expect(await internationalEnvelope('postfix')).toStrictEqual({
      replies: ['250', '250'],
      events: [['new'], ['envfrom', '<grün@src.test>', 'SMTPUTF8'], ['envrcpt', '<用户@dést.test>']],
    });
  });

  test('SMTPUTF8: Postfix accepts such addresses from a filter', async () => {
    const calls: Call[] = [
      ['chgfrom', '<neu-ü@src.test>', 'SMTPUTF8'],
      ['addrcpt', '<ajouté@dést.test>'],
      ['delrcpt', '<用户@dést.test>'],
    ];
    const mail = {
      from: 'grün@src.test',
      to: ['用户@dést.test', 'rcpt@dest.test'],
      mailParams: 'SMTPUTF8',
      headers: ['Subject: grüße'],
    };
    const { id, last } = await mtas.modify('postfix', calls, mail);
    expectThat(last.code, last.text).toBe(250);
    const { mailFrom, rcptTo, raw } = await mtas.delivered(id);
    expect(mailFrom.address).toBe('neu-ü@src.test');
    expectThat(mailFrom.params, spelled(mailFrom)).toContain('SMTPUTF8');
    expect(rcptTo.map(({ address }) => address).sort()).toStrictEqual(['ajouté@dést.test', 'rcpt@dest.test']);
    expect(raw.includes('Subject: grüße\r\n')).toBe(true);
  });
});
