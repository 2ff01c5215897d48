// A day's mix of mail, 2,000 messages through both MTAs to the production filter, with a DNS server of its own: each message gets the
// verdict that its kind deserves, and no other.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Reputation } from 'tsmilter/reputation';
import type { SinkMessage } from '../../tools/mta';
import { inLanes } from '../support/in-lanes';
import { corpus } from './support/corpus';
import type { CorpusMail } from './support/corpus/mail';
import { type Attempt, attempt } from './support/corpus/send';
import { type Arrived, fateOf } from './support/corpus/verdict';
import { files, sections, zone } from './support/corpus/world';
import { GuardFixture } from './support/guard-fixture';
import { type Kind, kinds } from './support/mta-fixture';

const SEED = 20_261_128;
const MESSAGES = 2_000;
/** Connections to each MTA at once. */
const LANES = 6;

interface Sent {
  readonly mail: CorpusMail;
  readonly kind: Kind;
  readonly attempts: Attempt[];
}

let guard: GuardFixture;
let mails: readonly CorpusMail[];

beforeAll(async () => {
  mails = await corpus(SEED, MESSAGES);
  guard = await GuardFixture.start(zone);
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(guard.dir, name), text);
  await using reputation = new Reputation(path.join(guard.stateDirectory, 'reputation.db'));
  for (let spam = 0; spam < 60; spam++) await reputation.record('bad.example', 'none', 'spam');
  await guard.configure(sections);
});
afterAll(() => guard?.stop());

test('the day has mail for every rule that is on', () => {
  const verdicts = mails.flatMap(({ expected }) => expected).join(' ');
  const rules = Object.keys(sections).filter((section) => sections[section]?.mode !== undefined);
  expect(rules.filter((rule) => !new RegExp(`\\b${rule}\\b`).test(verdicts))).toStrictEqual([]);
});

test('each of 2,000 messages gets its right verdict', async () => {
  const sent = mails.map(
    (mail, at): Sent => ({ mail, kind: kinds[at % kinds.length] as Kind, attempts: [] }),
  );

  await sendAll(sent);
  const again = sent.filter(({ mail }) => mail.expected.length > 1);
  for (const { mail } of again)
    if (/max_demerits/.test(mail.expected[0] as string)) await guard.bans(mail.client.address);
  await sendAll(again);

  const arrived = {
    delivered: byId(await guard.deliveries()),
    held: kinds.flatMap((kind) => guard.held(kind)),
    log: guard.log,
  };
  expect(sent.flatMap((each) => differenceOf(each, arrived))).toStrictEqual([]);
  expect(sent).toHaveLength(MESSAGES);
  // Nothing was delivered or held that is not one of these messages, or more often than it was accepted.
  const accepted = sent.filter(({ attempts }) => attempts.some((each) => each.accepted.length > 0));
  expect(arrived.delivered.size + arrived.held.length).toBe(accepted.length);
});

async function sendAll(all: readonly Sent[]): Promise<void> {
  await Promise.all(
    kinds.map((kind) =>
      inLanes(
        LANES,
        all.filter((each) => each.kind === kind),
        async ({ mail, attempts }) => {
          attempts.push(await attempt(guard, kind, mail));
        },
      ),
    ),
  );
}

function byId(messages: readonly SinkMessage[]): Map<string, SinkMessage[]> {
  const found = new Map<string, SinkMessage[]>();
  for (const message of messages) {
    const id = /^Message-Id: <(.*)@corpus\.test>/im.exec(message.text)?.[1] ?? message.text;
    found.set(id, [...(found.get(id) ?? []), message]);
  }
  return found;
}

/** What is not as expected: nothing, or a line. */
function differenceOf({ mail, kind, attempts }: Sent, arrived: Arrived): string[] {
  const verdicts = attempts.map(({ refusals, accepted }) =>
    [...refusals, ...(accepted.length > 0 ? [fateOf(mail, accepted, arrived)] : [])].join(', '),
  );
  const [expected, found] = [mail.expected.join('; then '), verdicts.join('; then ')];
  return expected === found ? [] : [`${kind}, ${mail.kind} (${mail.id}): ${found}, but expected ${expected}`];
}
