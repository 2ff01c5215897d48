/**
 * Whatever a filter passes to a reply or an action: either the call throws, or the SMTP client gets exactly one well-formed reply of
 * the verdict's class, and the message that is delivered has what was asked for, and nothing else.
 *
 * WIRE_ROUNDS multiplies the amount (1 by default); WIRE_SEED repeats a run.
 */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { REJECT, TEMPFAIL } from 'tsmilter';
import { encodeBytes } from '#lib/internal/bytes.js';
import type { Mta, Reply, SinkMessage, SmtpClient } from '../../tools/mta';
import { behaviourOf } from '../../tools/mta/versions';
import type { Act } from '../fixtures/script';
import { expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';
import { filterWith } from './support/conversation';
import { type Call, compose, type Kind, kinds, MtaFixture, nextId } from './support/mta-fixture';
import * as wire from './support/random-wire';

const ROUNDS = Number(process.env.WIRE_ROUNDS ?? 1);
const SEED = Number(process.env.WIRE_SEED ?? randomInt(2 ** 31));
const REPLIES_PER_SESSION = 40;
const SESSIONS = 40 * ROUNDS;
const FIRST_REPLIES = 40 * ROUNDS;
const MESSAGES = 60 * ROUNDS;
const MINUTE = 60_000;

const STAGES = ['envfrom', 'envrcpt', 'data', 'eom'] as const;
type Stage = (typeof STAGES)[number];

const WELL_FORMED = /^(?:\d{3}-[\t -~]*\r\n)*\d{3} [\t -~]*\r\n$/;

describe(`random replies and actions, WIRE_SEED=${SEED}`, () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  for (const kind of kinds) {
    const random = randomNumbers(SEED + kinds.indexOf(kind));

    test(
      `${kind}: one well-formed reply of the verdict's class for each command`,
      async () => {
        const counts = { replies: 0, thrown: 0 };
        for (let i = 0; i < SESSIONS; i++) await replySession(kind, random, counts);
        for (let i = 0; i < FIRST_REPLIES; i++) await firstReply(kind, random, counts);
        console.log(`${kind}: ${counts.replies} replies, ${counts.thrown} of them refused by the package`);
        expect(counts.thrown).toBeGreaterThan(counts.replies / 20);
        expect(counts.thrown).toBeLessThan(counts.replies / 2);
      },
      MINUTE * (1 + ROUNDS),
    );

    test(
      `${kind}: the delivered message has what was asked for`,
      async () => {
        const counts = { actions: 0, thrown: 0 };
        for (let i = 0; i < MESSAGES; i++) await modifiedMessage(kind, random, counts);
        console.log(`${kind}: ${counts.actions} actions, ${counts.thrown} of them refused by the package`);
        expect(counts.thrown).toBeGreaterThan(counts.actions / 20);
        expect(counts.thrown).toBeLessThan((counts.actions * 2) / 3);
      },
      MINUTE * (1 + ROUNDS),
    );
  }

  // --- replies

  async function replySession(
    kind: Kind,
    random: wire.Random,
    counts: { replies: number; thrown: number },
  ): Promise<void> {
    const stage = wire.pick(random, STAGES);
    const acts = Array.from({ length: REPLIES_PER_SESSION }, () => randomReply(random));
    const filter = mtas.filter();
    await filter.use({
      handlers: filterWith(stage, acts),
      quiet: [...STAGES, 'hello', 'connect', 'header', 'eoh', 'body'],
    });
    using client = await mtas.open(kind);
    await client.command('EHLO client.test');
    const heard: Reply[] = [];
    for (let i = 0; i < acts.length; i++) heard.push(await refusalAt(client, stage));
    await client.quit();
    const outcomes = (await filter.events()).filter(([name]) => name === 'result' || name === 'error');
    expect(outcomes).toHaveLength(acts.length);
    for (const [i, act] of acts.entries()) {
      const thrown = outcomes[i]?.[0] === 'error';
      counts.replies++;
      if (thrown) counts.thrown++;
      checkReply(heard[i] as Reply, act, thrown);
    }
  }

  /** A session that is refused in connect or hello, which the client hears at MAIL. */
  async function firstReply(
    kind: Kind,
    random: wire.Random,
    counts: { replies: number; thrown: number },
  ): Promise<void> {
    const stage = wire.pick(random, ['connect', 'hello'] as const);
    const act = randomReply(random);
    const filter = mtas.filter();
    await filter.use({ handlers: filterWith(stage, act), quiet: ['connect', 'hello'] });
    using client = await mtas.open(kind);
    const replies = [client.greeting, await client.command('EHLO client.test')];
    const heard = await client.command('MAIL FROM:<from@src.test>');
    replies.push(await client.command('NOOP'), await client.quit());
    for (const { raw } of replies) expect(raw.toString('latin1')).toMatch(WELL_FORMED);
    const [[outcome] = []] = (await filter.events()).filter(
      ([name]) => name === 'result' || name === 'error',
    );
    counts.replies++;
    if (outcome === 'error') counts.thrown++;
    // Sendmail forgets a text that is set in connect.
    checkReply(heard, act, outcome === 'error' || (kind === 'sendmail' && stage === 'connect'));
  }

  /** One command whose handler refuses, and the reply; the session is in step afterwards. */
  async function refusalAt(client: SmtpClient, stage: Stage): Promise<Reply> {
    let reply = await client.command('MAIL FROM:<from@src.test>');
    if (stage !== 'envfrom') reply = await client.command('RCPT TO:<rcpt@dest.test>');
    if (stage === 'data' || stage === 'eom') reply = await client.command('DATA');
    if (stage === 'eom') reply = await client.content(compose(nextId(), [], 'a line\r\n'));
    expect((await client.command('RSET')).raw.toString('latin1')).toMatch(/^250 2\.0\.0 [^\r\n]*\r\n$/);
    return reply;
  }

  // --- actions

  async function modifiedMessage(
    kind: Kind,
    random: wire.Random,
    counts: { actions: number; thrown: number },
  ): Promise<void> {
    const calls = Array.from({ length: 25 }, (_, i) => randomAction(random, `${i}`));
    const held = random(8) === 0;
    if (held) calls.push(['quarantine', wire.text(random, 20, 20)]);
    const filter = mtas.filter();
    await filter.use({ handlers: { eom: { call: calls } }, quiet: ['eom'] });
    using client = await mtas.open(kind);
    await client.command('EHLO client.test');
    const id = nextId();
    await client.command('MAIL FROM:<from@src.test>');
    await client.command('RCPT TO:<rcpt@dest.test>');
    await client.command('DATA');
    const headers = ['X-Old: one', 'X-Old: two'];
    const end = await client.content(compose(id, headers, 'a line\r\n'));
    const next = await client.command('NOOP');
    await client.quit();
    const outcomes = (await filter.events()).filter(([name]) => name === 'result' || name === 'error');
    expect(outcomes).toHaveLength(calls.length);
    const done = calls.filter((_, i) => outcomes[i]?.[0] === 'result');
    counts.actions += calls.length;
    counts.thrown += calls.length - done.length;
    for (const { raw } of [end, next]) {
      const line = raw.toString('latin1');
      if (!/^250 2\.0\.0 [^\r\n]*\r\n$/.test(line))
        throw new Error(`${JSON.stringify(line)}: ${JSON.stringify(done)}`);
    }
    const [, reason] = done.find(([method]) => method === 'quarantine') ?? [];
    if (typeof reason === 'string') checkHeld(mtas.mta(kind), id, reason);
    else checkDelivered(await mtas.delivered(id), done);
  }
});

function randomReply(random: wire.Random): Act {
  const answer = wire.pick(random, [REJECT, TEMPFAIL] as const);
  const ofClass = answer === REJECT ? '5' : '4';
  const codes = [wire.replyCode(random, ofClass), wire.extendedCode(random, ofClass)] as const;
  const call: Call =
    random(3) === 0
      ? ['setReplyText', ...codes, wire.text(random, 30, 60)]
      : ['setreply', ...codes, ...wire.replyLines(random)];
  return { call: [call], answer };
}

/** @param lost whether the MTA says a text of its own, because the call has thrown or the MTA forgets it */
function checkReply(reply: Reply, act: Act, lost: boolean): void {
  const [method, code, extended, ...lines] = (act.call as readonly Call[])[0] as [
    string,
    string,
    string | null,
    ...(string | null)[],
  ];
  const ofClass = act.answer === REJECT ? '5' : '4';
  const raw = reply.raw.toString('latin1');
  const about = JSON.stringify([method, code, extended, lines, raw]);
  if (!WELL_FORMED.test(raw)) throw new Error(`malformed: ${about}`);
  const rows = raw.slice(0, -2).split('\r\n');
  if (rows.some((row) => row[0] !== ofClass || row.slice(0, 3) !== raw.slice(0, 3)))
    throw new Error(`of another class: ${about}`);
  if (lost || code[0] !== ofClass) return;
  if (raw.slice(0, 3) !== code) throw new Error(`another code: ${about}`);
  if (method === 'setreply' && extended !== null && lines[0] !== null) {
    const expected = lines.map((line) => `${extended} ${(line as string).replaceAll('%%', '%')}`);
    // Sendmail says whom a reply with some codes is about; Postfix makes a TAB a blank.
    const texts = rows.map((row) => row.slice(4).replace(/(?<=^[\d.]+ )<\w+@\w+\.test>\.\.\. /, ''));
    if (texts.join('|').replaceAll('\t', ' ') !== expected.join('|').replaceAll('\t', ' '))
      throw new Error(`another text: ${about}`);
  }
}

function randomAction(random: wire.Random, unique: string): Call {
  switch (random(6)) {
    case 0:
      return [
        'addheader',
        wire.headerName(random, unique),
        wire.headerValue(random),
        wire.pick(random, [-1, 0, 1, 2, 5]),
      ];
    case 1:
      return ['chgheader', 'X-Old', wire.pick(random, [1, 2]), wire.headerValue(random)];
    case 2:
      return ['addrcpt', wire.address(random, unique), wire.parameters(random)];
    case 3:
      return ['delrcpt', wire.address(random, `${random(25)}`)];
    case 4:
      return ['chgfrom', random(10) === 0 ? '<>' : wire.address(random, unique), null];
    default:
      return ['addheader', wire.headerName(random, unique), wire.headerValue(random)];
  }
}

/** The message lies in quarantine, with the reason where the MTA keeps it. */
function checkHeld(mta: Mta, id: string, reason: string): void {
  const about = JSON.stringify(reason);
  const held = mta.quarantined().filter((text) => text.includes(`<${id}@`));
  expectThat(held.length, about).toBe(1);
  const bytes = encodeBytes(reason).toString('latin1');
  if (mta.name === 'sendmail') expectThat(/^q(.*)$/m.exec(held[0] as string)?.[1], about).toBe(bytes);
  const { quarantineLog } = behaviourOf(mta);
  if (quarantineLog) expectThat(mta.log(), about).toContain(quarantineLog(reason));
}

const unfold = (value: string): string => value.replace(/\r?\n(?=[ \t])/g, '');

/** The message's headers, as a reader that knows only RFC 5322 sees them. */
function fieldsOf(message: SinkMessage): (readonly [name: string, value: string])[] {
  const head = message.raw.toString('latin1').split('\r\n\r\n', 1)[0] as string;
  return unfold(head)
    .split('\r\n')
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')] as const;
    });
}

/** An address as the sink has it: without angle brackets and source route, as bytes. */
const bare = (address: unknown): string =>
  encodeBytes((address as string).replace(/^<(?:@[^:]*:)?|>$/g, '')).toString('latin1');

/**
 * Whether the envelope is the one that was asked for. MTAs write addresses anew (the domain in lower case, quotes where they are
 * needed, duplicates once), so the ordinary ones are compared: those that must be there, and the number of all.
 */
function envelopeProblem(message: SinkMessage, done: readonly Call[]): string | null {
  const recipients = message.rcptTo.map(({ address }) => encodeBytes(address).toString('latin1'));
  const deleted = new Set(
    done.filter(([method]) => method === 'delrcpt').map(([, address]) => bare(address)),
  );
  const added = done.filter(([method]) => method === 'addrcpt').map(([, address]) => bare(address));
  for (const address of added) {
    if (/^r\d+@dest\.test$/.test(address) && !deleted.has(address) && !recipients.includes(address)) {
      return `${address} was added, and is not a recipient`;
    }
  }
  if (recipients.length > new Set(added).size + 1) return 'more recipients than were added';
  const sender = done.filter(([method]) => method === 'chgfrom').at(-1)?.[1] ?? 'from@src.test';
  if (
    /^(?:|\w+@[\w.]+\.test)$/.test(bare(sender)) &&
    message.mailFrom.address.toLowerCase() !== bare(sender).toLowerCase()
  ) {
    return `the sender is not ${String(sender)}`;
  }
  return null;
}

/** The two fields X-Old have the values that they were given last. An empty value removes one, which the MTAs count differently. */
function checkChanged(fields: readonly (readonly [string, string])[], done: readonly Call[]): void {
  const changes = done.filter(([method]) => method === 'chgheader') as unknown as [
    string,
    string,
    number,
    string,
  ][];
  if (changes.some(([, , , value]) => value === '')) return;
  const expected = ['one', 'two'].map(
    (old, at) => changes.findLast(([, , index]) => index === at + 1)?.[3] ?? old,
  );
  expectThat(
    fields.filter(([name]) => name === 'X-Old').map(([, value]) => value),
    JSON.stringify(changes),
  ).toStrictEqual(expected.map((value) => unfold(encodeBytes(value).toString('latin1'))));
}

function checkDelivered(message: SinkMessage, done: readonly Call[]): void {
  const about = () =>
    `${JSON.stringify(done)}\n${JSON.stringify(message.text)}\n${JSON.stringify(message.rcptTo.map((r) => r.address))} ${message.mailFrom.address}`;
  const fields = fieldsOf(message);
  const expected = done
    .filter(([method]) => method === 'addheader')
    .map(
      ([, name, value]) => [name as string, unfold(encodeBytes(value as string).toString('latin1'))] as const,
    );
  for (const [name, value] of expected) {
    const found = fields.filter(([other]) => other === name).map(([, found]) => found);
    if (found.length !== 1 || found[0] !== value)
      throw new Error(`${name}: ${JSON.stringify(value)} came as ${JSON.stringify(found)}: ${about()}`);
  }
  checkChanged(fields, done);
  const known = new Set([
    'From',
    'To',
    'Date',
    'X-Old',
    'Message-Id',
    'Received',
    ...expected.map(([name]) => name),
  ]);
  const others = fields.filter(([name]) => !known.has(name));
  if (others.length > 0) throw new Error(`fields of nobody: ${JSON.stringify(others)}: ${about()}`);
  const problem = envelopeProblem(message, done);
  if (problem !== null) throw new Error(`${problem}: ${about()}`);
  if (!message.raw.toString('latin1').endsWith('\r\n\r\na line\r\n'))
    throw new Error(`another body: ${about()}`);
}
