// Every callback with its real arguments, from both MTAs and through all endpoints. Macros are in macros.test.ts, broken
// transactions in abort.test.ts.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AF_INET, AF_INET6, CURR_ACTS } from 'tsmilter';
import { type ClientOptions, type EndpointName, endpointNames } from '../../tools/mta';
import { behaviourOf } from '../../tools/mta/versions';
import { TIMEOUT } from '../../tools/wait';
import type { Acts } from '../fixtures/script';
import { expectThat } from '../support/expect';
import type { FilterEvent } from '../support/filter-process';
import { itUnless } from '../support/skip';
import { type Kind, kinds, MtaFixture, nextId, skipWithout } from './support/mta-fixture';

const every: Acts = Object.fromEntries(
  'connect hello envfrom envrcpt data header eoh body eom unknown close'.split(' ').map((name) => [name, {}]),
);

/** Header lines as they are sent, and what the handler gets of each. */
const headers: readonly (readonly [line: string, name: string, value: string])[] = [
  ['From: Author <author@src.test>', 'From', 'Author <author@src.test>'],
  ['To: <rcpt@dest.test>', 'To', '<rcpt@dest.test>'],
  ['Date: Mon, 01 Jan 2024 00:00:00 +0000', 'Date', 'Mon, 01 Jan 2024 00:00:00 +0000'],
  [
    'Subject: folded\r\n\tby a tab\r\n  and by two spaces',
    'Subject',
    'folded\n\tby a tab\n  and by two spaces',
  ],
  ['X-Empty:', 'X-Empty', ''],
  ['X-Space: ', 'X-Space', ''],
  ['X-None:no space', 'X-None', 'no space'],
  ['X-Two:  spaces', 'X-Two', ' spaces'],
  ['X-Tab:\tin front', 'X-Tab', '\tin front'],
  ['X-Trail: spaces  ', 'X-Trail', 'spaces  '],
  ['x-LETTERS: kept', 'x-LETTERS', 'kept'],
  ['X-Percent: 100%', 'X-Percent', '100%'],
  ['X-Empty: the second of its name', 'X-Empty', 'the second of its name'],
  [`X-Long: ${'long '.repeat(190)}`, 'X-Long', 'long '.repeat(190)],
];

/** What is sent as ESMTP parameters comes as strings of its own, unchanged. */
const mailParams = ['SIZE=1000', 'BODY=8BITMIME', 'RET=HDRS', 'ENVID=a+2Bb'];
const rcptParams = ['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;Orig+2Binal@dest.test'];

describe('callbacks', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ endpoints: endpointNames });
  });
  afterAll(() => mtas?.stop());

  /** What a filter is told of a session of these commands; a Buffer is the content that follows DATA. */
  async function events(
    kind: Kind,
    lines: readonly (string | Buffer)[],
    endpoint: EndpointName = 'unix',
    options: ClientOptions = {},
  ): Promise<FilterEvent[]> {
    const filter = mtas.filter(endpoint);
    using client = await mtas.open(kind, endpoint, options);
    for (const line of lines) {
      if (typeof line === 'string') await client.command(line);
      else expect((await client.content(line)).code).toBe(250);
    }
    await client.quit();
    await filter.event('close', TIMEOUT);
    return filter.events();
  }

  for (const kind of kinds) {
    for (const endpoint of endpointNames) {
      itUnless(skipWithout(endpoint), `a whole session: ${kind}, ${endpoint}`, async () => {
        await mtas.filter(endpoint).use({ handlers: every });
        const id = `<${nextId()}@src.test>`;
        const body = 'the first line\r\n.a dot in front\r\n.\r\nthe last\r\n';
        const content = `${headers.map(([line]) => `${line}\r\n`).join('')}Message-Id: ${id}\r\n\r\n${body}`;
        const [[made], [connected, hostname, ...peer] = [], ...rest] = (await events(
          kind,
          [
            'EHLO client.test',
            'XYZZY plugh  twice',
            `MAIL FROM:<From+tag@Src.test> ${mailParams.join(' ')}`,
            `RCPT TO:<Rcpt@Dest.test> ${rcptParams.join(' ')}`,
            'RCPT TO:<second@dest.test>',
            'DATA',
            Buffer.from(content),
          ],
          endpoint,
          endpoint === 'inet6' ? {} : { localAddress: '127.0.0.2' },
        )) as [FilterEvent, ...FilterEvent[]];

        expect([made, connected]).toStrictEqual(['new', 'connect']);
        const [family, address] = peer as [number, unknown[]];
        const port = address[1];
        expectThat(typeof port, String(port)).toBe('number');
        expect(port).toBeGreaterThan(1023);
        if (endpoint === 'inet6') {
          expect([family, address]).toStrictEqual([AF_INET6, ['::1', port, 0, 0]]);
          // Sendmail finds the name in a hosts file
          expect(hostname as string).toMatch(
            kind === 'sendmail' ? /^(localhost|[\w.-]+|\[IPv6:[0:]*1\])$/ : /^\[::1\]$/,
          );
        } else {
          expect([hostname, family, address]).toStrictEqual(['[127.0.0.2]', AF_INET, ['127.0.0.2', port]]);
        }
        const { unknownCommand } = behaviourOf(mtas.mta(kind));
        expect(rest).toStrictEqual([
          ['hello', 'client.test'],
          ['unknown', unknownCommand === 'whole line' ? 'XYZZY plugh  twice' : 'XYZZY'],
          ['envfrom', '<From+tag@Src.test>', ...mailParams],
          ['envrcpt', '<Rcpt@Dest.test>', ...rcptParams],
          ['envrcpt', '<second@dest.test>'],
          ['data'],
          ...headers.map(([, name, value]) => ['header', name, value]),
          ['header', 'Message-Id', id],
          ['eoh'],
          ['body', Buffer.from(body)],
          ['eom'],
        ]);
        await mtas.sink.next(({ raw }) => raw.includes(id), TIMEOUT);
      });
    }

    describe(kind, () => {
      test('two messages in a session share one connect, one object and one close', async () => {
        await mtas.filter().use({ handlers: every });
        const message = [
          'MAIL FROM:<a@src.test>',
          'RCPT TO:<b@dest.test>',
          'DATA',
          Buffer.from('X-A: b\r\n\r\nc\r\n'),
        ];
        const names = (await events(kind, ['EHLO client.test', ...message, ...message])).map(
          ([name]) => name,
        );
        const once = ['envfrom', 'envrcpt', 'data', 'eoh', 'body', 'eom'];
        expect(names.filter((name) => name !== 'header')).toStrictEqual([
          'new',
          'connect',
          'hello',
          ...once,
          ...once,
        ]);
        for (let i = 0; i < 2; i++) await mtas.sink.next(({ raw }) => raw.includes('X-A: b\r\n'), TIMEOUT);
      });

      test('HELO, and EHLO after it', async () => {
        await mtas.filter().use({ handlers: { hello: {}, close: {} } });
        expect(await events(kind, ['HELO First.test', 'EHLO [127.0.0.2]'])).toStrictEqual([
          ['new'],
          ['hello', 'First.test'],
          ['hello', '[127.0.0.2]'],
        ]);
      });

      test('HELP: an unknown command to Postfix before 3.9', async () => {
        await mtas.filter().use({ handlers: { unknown: {}, close: {} } });
        const unknown = behaviourOf(mtas.mta(kind)).knowsHelp ? [] : [['unknown', 'HELP']];
        expect(await events(kind, ['EHLO client.test', 'HELP', 'NOOP'])).toStrictEqual([['new'], ...unknown]);
      });

      test('addresses arrive as typed', async () => {
        await mtas.filter().use({ handlers: { envfrom: {}, envrcpt: {}, close: {} } });
        const told = await events(kind, [
          'EHLO client.test',
          'MAIL FROM:<>',
          'RCPT TO:<@relay.test:User@Dest.test>',
          'RCPT TO:<"quoted \\" local"@dest.test>',
          'RSET',
          'MAIL FROM: <a@src.test>',
          'RSET',
          'MAIL FROM:bare@src.test',
          'RCPT TO:bare@dest.test',
        ]);
        expect(told).toStrictEqual([
          ['new'],
          ['envfrom', '<>'],
          ['envrcpt', '<@relay.test:User@Dest.test>'],
          ['envrcpt', '<"quoted \\" local"@dest.test>'],
          ['envfrom', '<a@src.test>'],
          ['envfrom', 'bare@src.test'],
          ['envrcpt', 'bare@dest.test'],
        ]);
      });

      for (const [title, content, wanted] of [
        ['no body', 'X-A: b\r\n\r\n', ['header', 'eoh', 'eom']],
        ['no empty line', 'X-A: b\r\n', ['header', 'eoh', 'eom']],
        ['an empty line as body', 'X-A: b\r\n\r\n\r\n', ['header', 'eoh', 'body', 'eom']],
        ['no header', '\r\nbody\r\n', ['eoh', 'body', 'eom']],
      ] as const) {
        test(`a message with ${title}`, async () => {
          await mtas.filter().use({ handlers: { header: {}, eoh: {}, body: {}, eom: {}, close: {} } });
          const envelope = ['EHLO client.test', 'MAIL FROM:<a@src.test>', 'RCPT TO:<b@dest.test>', 'DATA'];
          const told = await events(kind, [...envelope, Buffer.from(content)]);
          // Postfix adds From, Date and Message-Id (for its own clients) before the filter sees them, Sendmail after
          const added = /^(From|Date|Message-Id|To)$/i;
          const seen = told.filter(
            ([name, header]) => name !== 'new' && !(name === 'header' && added.test(`${header}`)),
          );
          expect(seen.map(([name]) => name)).toStrictEqual(wanted);
          const names = told.filter(([name]) => name === 'header').map(([, name]) => name);
          expectThat(names.includes('Message-Id'), names.join(' ')).toBe(kind === 'postfix');
          await mtas.sink.next(undefined, TIMEOUT);
        });
      }

      for (const size of [65_535, 65_536, 200 * 1024, 1_500_000]) {
        test(`a body of ${size} bytes comes in chunks of 65,535`, async () => {
          await mtas.filter().use({ handlers: { body: {}, eom: {} } });
          const body = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz0123456789.\r\n');
          body.write('\r\n', size - 2);
          const { id, last } = await mtas.submit(kind, { body });
          expectThat(last.code, last.text).toBe(250);
          const told = await mtas.filter().events();
          const chunks = told.filter(([name]) => name === 'body').map(([, chunk]) => chunk as Buffer);
          expect(chunks.map(({ length }) => length)).toStrictEqual(
            [...Array(Math.floor(size / 65_535)).fill(65_535), size % 65_535].filter((length) => length > 0),
          );
          expectThat(Buffer.concat(chunks).equals(body), 'the same bytes').toBe(true);
          await mtas.delivered(id);
        });
      }

      test('negotiate: the MTA offers all rights and steps', async () => {
        await mtas.filter().use({ handlers: { negotiate: {}, close: {} } });
        const told = await events(kind, ['EHLO client.test']);
        const [, offer] = told.find(([name]) => name === 'negotiate') ?? [];
        const [actions, protocol] = offer as number[];
        expect(actions).toBe(CURR_ACTS);
        expect((protocol as number) & 0x1fffff).toBe(0x1fffff);
      });

      test('@noreply handlers are called', async () => {
        const silent = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body', 'unknown'];
        await mtas.filter().use({ handlers: every, statics: { noreply: silent } });
        const told = await events(kind, [
          'EHLO client.test',
          'XYZZY',
          'MAIL FROM:<a@src.test>',
          'RCPT TO:<b@dest.test>',
          'DATA',
          Buffer.from('X-A: b\r\n\r\nno reply\r\n'),
        ]);
        expect([...new Set(told.map(([name]) => name))].sort()).toStrictEqual(
          ['new', 'eom', ...silent].sort(),
        );
        await mtas.sink.next(({ raw }) => raw.includes('no reply'), TIMEOUT);
      });
    });
  }
});
