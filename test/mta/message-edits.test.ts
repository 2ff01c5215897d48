/** Random messages, edited at random by a filter of whole messages: both MTAs deliver the document that the filter had at the end. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { SinkMessage, SmtpClient } from '../../tools/mta';
import type { Edit, Told } from '../fixtures/editing';
import { expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';
import { type Kind, kinds, MtaFixture, nextId } from './support/mta-fixture';
import { bodyOf, headersOf } from './support/view';

const SEED = Number(process.env.MILTER_SEED ?? Date.now() % 1e9);
const ROUNDS = process.env.MILTER_STRESS === 'long' ? 2_000 : 60;
const MESSAGES_PER_SESSION = 20;

/** The field by which a message is found again: no edit touches it. */
const MARK = 'X-Mark';
/** Fields that an MTA adds where they are missing. */
const ADDED = /^((?:Resent-)?(?:From|Date|Message-Id)):/i;

const pick = randomNumbers(SEED);
const one = <T>(...list: readonly T[]): T => list[pick(list.length)] as T;

const NAMES = [
  'Subject',
  'X-A',
  'X-B',
  'x-a',
  'X-C',
  'Reply-To',
  'Keywords',
  'List-Id',
  'Received',
  'Comments',
] as const;
const VALUES = [
  'a',
  'b c',
  'longer text, with signs; (and a comment)',
  'one\n two',
  'one\n\ttwo\n   three',
  'grüße',
  '"quoted"',
] as const;

function valueFor(name: string): string {
  if (name === 'Reply-To') return one('<a@src.test>', 'Somebody <b@src.test>');
  if (name === 'Received') return 'from a.test by b.test; Mon, 01 Jan 2024 00:00:00 +0000';
  return one(...VALUES);
}

/** The header lines of a message: duplicates, folds, no space or several after the colon, bytes that are not ASCII, some missing. */
function randomHeaders(id: string): Buffer[] {
  const lines = Array.from({ length: pick(9) }, () => {
    const name = one(...NAMES);
    const text = `${name}:${one(' ', '', '  ', ' ')}${valueFor(name)}`.replaceAll('\n', '\r\n');
    return Buffer.from(text, pick(2) === 0 ? 'latin1' : 'utf8');
  });
  const standard = [
    'From: <author@src.test>',
    'To: <rcpt@dest.test>',
    'Date: Mon, 01 Jan 2024 00:00:00 +0000',
    `Message-Id: <${id}@src.test>`,
  ];
  if (pick(8) === 0)
    standard.push(
      'Resent-From: <r@src.test>',
      'Resent-Date: Mon, 01 Jan 2024 00:00:00 +0000',
      'Resent-Message-Id: <r@src.test>',
      'Resent-To: <rcpt@dest.test>',
    );
  for (const line of [`${MARK}: <${id}@mark.test>`, ...standard.filter(() => pick(4) > 0)]) {
    lines.splice(pick(lines.length + 1), 0, Buffer.from(line));
  }
  return lines;
}

/** Edits for a document of `length` fields, of which `fixed` are left as they are. */
function randomEdits(names: readonly string[]): Edit[] {
  const document = [...names];
  const edits: Edit[] = [];
  for (let left = pick(6); left > 0; left--) {
    const name = one(...NAMES, 'X-New', 'X-Newer');
    const value = valueFor(name);
    const at = pick(document.length);
    const fixed =
      (document[at] as string) === MARK ||
      /^(Resent-.*|From|To|Date|Message-Id)$/i.test(document[at] as string);
    switch (pick(8)) {
      case 0: {
        const found = document.findIndex((other) => other.toLowerCase() === name.toLowerCase());
        const others = document.filter(
          (other, i) => i <= found || other.toLowerCase() !== name.toLowerCase(),
        );
        document.splice(0, document.length, ...others, ...(found < 0 ? [name] : []));
        edits.push({ kind: 'set', name, value });
        break;
      }
      case 1:
        document.push(name);
        edits.push({ kind: 'add', name, value });
        break;
      case 2:
        document.unshift(name);
        edits.push({ kind: 'prepend', name, value });
        break;
      case 3:
        document.splice(at, 0, name);
        edits.push({ kind: 'insertBefore', at, name, value });
        break;
      case 4:
        document.splice(at + 1, 0, name);
        edits.push({ kind: 'insertAfter', at, name, value });
        break;
      case 5:
        if (!fixed) edits.push({ kind: 'replace', at, value: valueFor(document[at] as string) });
        break;
      case 6:
        if (!fixed) {
          const renamed = one('X-A', 'X-Renamed', 'Keywords');
          edits.push({ kind: 'rename', at, name: renamed });
          document[at] = renamed;
        }
        break;
      case 7:
        if (!fixed) {
          edits.push({ kind: 'delete', at });
          document.splice(at, 1);
        }
        break;
    }
  }
  if (pick(3) === 0)
    edits.push({ kind: 'body', text: one('', 'new\r\n', 'line\r\n'.repeat(30_000)), pieces: 1 + pick(3) });
  if (pick(4) === 0) edits.push({ kind: 'sender', address: one('new@src.test', '<other@src.test>', '') });
  if (pick(3) === 0) edits.push({ kind: 'addRecipient', address: `more${pick(3)}@dest.test` });
  if (pick(5) === 0)
    edits.push(
      { kind: 'addRecipient', address: 'last@dest.test' },
      { kind: 'deleteRecipient', address: 'rcpt@dest.test' },
    );
  return edits;
}

/** The fields of a delivered message without those that the MTA has added. */
function fieldsOf(message: SinkMessage, expected: readonly string[]): string[] {
  const [, ...fields] = headersOf(message); // the MTA's own Received
  const has = (name: string) =>
    expected.some((field) => field.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return fields.filter((field) => {
    const [, name] = ADDED.exec(field) ?? [];
    return name === undefined || has(name);
  });
}

/** Fields as no filter may write them, or at a limit: lines of blanks only, no value, odd names, bytes, long values. */
const ODD_FIELDS = [
  'X-Odd: a\r\n \r\n b',
  'X-Odd: a\r\n ',
  'X-Odd: a\r\n\t\r\n\t',
  'X-Odd: \r\n a',
  'X-Odd:\r\n \r\n a',
  'X-Odd:',
  'X-Odd:   ',
  'X-Odd:\t',
  'X-Odd : a',
  'X(c): a',
  'X-Odd: \x01\x7f\x85\xa0\xfc\xc3\xbc',
  `X-Odd: ${'x'.repeat(900)}`,
  `X-Odd: ${`${'x'.repeat(900)}\r\n `.repeat(30)}y`,
] as const;
/** A field as its readers see it: blanks, however many, separate. Sendmail does not keep the blanks before a colon. */
const asRead = (field: string): string => field.replace(/\s+/g, ' ').replace(/ ?: ?/, ':').trim();

const nameOf = (line: Buffer) => line.toString('latin1').replace(/:[\s\S]*/, '');

describe.each(kinds)('random edits behind %s', (kind: Kind) => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start({ fixture: 'editing' });
  });
  afterAll(() => mtas?.stop());

  async function round(client: SmtpClient, title: string): Promise<void> {
    const id = nextId();
    const lines = randomHeaders(id);
    // Postfix shows From, Date and Message-Id that it adds to the filter, after the others.
    const edits = randomEdits(lines.map(nameOf));
    await mtas.filter().request('edit', edits);
    const body = 'a line\r\n'.repeat(1 + pick(20_000));
    const data = Buffer.concat([
      ...lines.flatMap((line) => [line, Buffer.from('\r\n')]),
      Buffer.from(`\r\n${body}`),
    ]);
    const { last } = await client.send({ from: 'from@src.test', to: 'rcpt@dest.test', data });
    const say = () =>
      `${title}\n${data.subarray(0, data.indexOf('\r\n\r\n')).toString('latin1')}\n${JSON.stringify(edits)}`;
    expectThat(last.code, `${say()}\n${last.text}`).toBe(250);
    const [, told] = (await mtas.filter().event('message')) as readonly [string, Told];
    expectThat(told.body, say()).toBe(body);

    const delivered = await mtas.sink.next(({ raw }) => raw.includes(`<${id}@mark.test>`));
    expectThat(fieldsOf(delivered, told.headers), say()).toStrictEqual(told.headers);
    const replaced = edits.find((edit) => edit.kind === 'body');
    expectThat(bodyOf(delivered).toString('latin1'), say()).toBe(
      replaced?.kind === 'body' ? replaced.text : body,
    );
    expectThat(delivered.mailFrom.address, say()).toBe(told.sender);
    expectThat(delivered.rcptTo.map(({ address }) => address).sort(), say()).toStrictEqual(
      [...told.recipients].sort(),
    );
  }

  test('a missing From, Date and Message-Id are supplied once', async () => {
    await mtas.filter().request('edit', [
      { kind: 'set', name: 'From', value: '<new@src.test>' },
      { kind: 'set', name: 'Date', value: 'Tue, 02 Jan 2024 00:00:00 +0000' },
      { kind: 'set', name: 'Message-Id', value: '<new@src.test>' },
    ] satisfies Edit[]);
    const id = nextId();
    const client = await mtas.open(kind);
    const data = Buffer.from(`${MARK}: <${id}@mark.test>\r\n\r\nx\r\n`);
    const { last } = await client.send({ from: 'from@src.test', to: 'rcpt@dest.test', data });
    await client.quit();
    expectThat(last.code, last.text).toBe(250);
    await mtas.filter().event('message');
    const delivered = headersOf(await mtas.sink.next(({ raw }) => raw.includes(`<${id}@mark.test>`)));
    expect(delivered.filter((field) => ADDED.test(field)).sort()).toStrictEqual([
      'Date: Tue, 02 Jan 2024 00:00:00 +0000',
      'From: <new@src.test>',
      'Message-Id: <new@src.test>',
    ]);
  });

  const EDITS: Readonly<Record<string, Edit>> = {
    'another name': { kind: 'rename', at: 1, name: 'X-Was' },
    'a place above others': { kind: 'insertAfter', at: 1, name: 'X-New', value: 'new' },
  };
  for (const [title, edit] of Object.entries(EDITS)) {
    test(`fields that arrived in an odd form are sent again with ${title}`, async () => {
      const client = await mtas.open(kind);
      for (const odd of ODD_FIELDS) {
        await mtas.filter().request('edit', [edit]);
        const id = nextId();
        const rest = 'To: <rcpt@dest.test>\r\nFrom: <a@src.test>\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000';
        const head = `${MARK}: <${id}@mark.test>\r\n${odd}\r\n${rest}\r\nMessage-Id: <${id}@src.test>`;
        const data = Buffer.from(`${head}\r\n\r\nx\r\n`, 'latin1');
        const { last } = await client.send({ from: 'from@src.test', to: 'rcpt@dest.test', data });
        expectThat(last.code, `${JSON.stringify(odd)}\n${last.text}`).toBe(250);
        const [, told] = (await mtas.filter().event('message')) as readonly [string, Told];
        const delivered = await mtas.sink.next(({ raw }) => raw.includes(`<${id}@mark.test>`));
        const { length } = told.headers;
        expect(
          headersOf(delivered)
            .slice(1, 1 + length)
            .map(asRead),
        ).toStrictEqual(told.headers.map(asRead));
      }
      await client.quit();
    });
  }

  test(`${ROUNDS} messages, seed ${SEED}`, async () => {
    for (let done = 0; done < ROUNDS; done += MESSAGES_PER_SESSION) {
      const client = await mtas.open(kind);
      for (let i = 0; i < MESSAGES_PER_SESSION; i++) await round(client, `seed ${SEED}, message ${done + i}`);
      await client.quit();
    }
  });
});
