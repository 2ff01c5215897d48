// The production filter behind both MTAs: rules that ask scanners, that send copies, and that remember.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Clamd } from 'tsmilter/scan';
import { MODES, type Mode } from '../../examples/guard/rule';
import { scanned } from '../../examples/guard/scanner';
import { freePort } from '../../tools/free-ports';
import { EICAR, type Scanner, SPAM_SUBJECT, startClamd, startRspamd, startSpamd } from '../../tools/scanners';
import { expectThat } from '../support/expect';
import { clients, GuardFixture, type Trial, zone } from './support/guard-fixture';
import { kinds } from './support/mta-fixture';
import { headersOf } from './support/view';

let guard: GuardFixture;

beforeAll(async () => {
  guard = await GuardFixture.start(zone);
});
afterAll(() => guard?.stop());

const guardFields = async (id: string) =>
  headersOf(await guard.delivered(id)).filter((field) => field.startsWith('X-Guard:'));

const VIRUS: Trial = { at: clients.inside, from: 'ann@ours.test', body: `${EICAR}\r\n` };
const SPAM: Trial = { headers: [`Subject: ${SPAM_SUBJECT}`] };

describe.each([
  { rule: 'clamd', start: startClamd, bad: VIRUS, reason: 'virus "Test.Eicar.UNOFFICIAL"' },
  { rule: 'spamd', start: startSpamd, bad: SPAM, reason: 'spam, score 8 of 5: "SELLS"' },
  { rule: 'rspamd', start: startRspamd, bad: SPAM, reason: '"reject", score 20 of 15: "SELLS"' },
])('$rule', ({ rule, start, bad, reason }) => {
  const tag = rule.toUpperCase();
  const replies = { defer: /^451 4\.7\.1 Your message/, reject: /^550 5\.7\.1 Your message/ };
  let scanner: Scanner;
  let address: string;

  beforeAll(async () => {
    scanner = await start();
    address = scanner.path ?? `127.0.0.1:${scanner.port}`;
  });
  afterAll(() => scanner?.stop());

  describe.each(MODES)('mode %s', (mode) => {
    beforeAll(() => guard.configure({ [rule]: { mode, address } }));

    test.each(kinds)('%s', async (kind) => {
      const { reply, code, id } = await guard.send(kind, bad);
      if (mode === 'defer' || mode === 'reject') expect(reply).toMatch(replies[mode]);
      else {
        expectThat(code, reply).toBe(250);
        expect(await guard.wasDelivered(kind, id)).toBe(mode !== 'quarantine');
      }
      if (mode === 'tag') expect((await guardFields(id)).join()).toContain(`X-Guard: ${rule}; ${reason}`);
      if (mode === 'off') expect(guard.log).not.toContain(tag);
      else expect(guard.log).toContain(`${tag} ${mode}: ${reason}`);
    });
  });

  test.each(kinds)('%s: an innocent message passes unchanged', async (kind) => {
    await guard.configure({ [rule]: { mode: 'reject', address } });
    const { code, id, reply } = await guard.send(kind);
    expectThat(code, reply).toBe(250);
    expect(await guardFields(id)).toStrictEqual([]);
  });

  test.each(kinds)('%s: a scanner that is away defers, unless it should not matter', async (kind) => {
    const away = { mode: 'reject', address: `127.0.0.1:${await freePort()}` };
    await guard.configure({ [rule]: away });
    expect((await guard.send(kind, bad)).reply).toMatch(/^451 4\.3\.0 Your message cannot be checked/);
    await guard.configure({ [rule]: { ...away, failure: 'accept' } });
    expect((await guard.send(kind, bad)).code).toBe(250);
    expect(guard.log).toContain('a message was not scanned: "');
    await guard.configure({ [rule]: { mode: 'reject' } });
    expect((await guard.send(kind, bad)).code).toBe(250);
  });
});

test('what is too large for a scanner is accepted, because it would be so the next time as well', async () => {
  await using server = await startClamd();
  const clamd = new Clamd({ path: server.path as string, maxSize: 10 });
  const reports: string[] = [];
  const scan = async () => {
    await clamd.scan(Buffer.alloc(1000));
    return null;
  };
  expect(await scanned(scan, 'defer', (message) => reports.push(message))).toBeNull();
  expect(reports).toStrictEqual([expect.stringContaining('a message was not scanned')]);
});

const wrongAddress: readonly [address: string, mode: Mode][] = [
  ['clamd.ctl', 'reject'],
  ['localhost:0', 'reject'],
  ['localhost:99999', 'reject'],
];
test.each(wrongAddress)('the address %s is refused with its line', async (address, mode) => {
  await guard.tryConfiguration(
    { clamd: { mode, address } },
    /guard\.cfg:\d+.*\[clamd\] address: .* host:port/,
  );
});

describe.each(kinds)('%s, at the end', (kind) => {
  const recipientsOf = async (id: string) =>
    (await guard.delivered(id)).rcptTo.map(({ address }) => address).toSorted();
  const copy = { senders: '@src.example', recipients: 'watched@dest.test', copy_to: 'copy@dest.test' };
  const pair = { aliases: '@src.example old@dest.test: new@dest.test other@dest.test' };
  const FROM = 'joe@src.example';

  test.each<[string, Trial, readonly string[]]>([
    ['of a sender', { from: FROM }, ['copy@dest.test', 'rcpt@dest.test']],
    [
      'to a recipient',
      { to: ['a@dest.test', 'Watched@dest.test'] },
      ['Watched@dest.test', 'a@dest.test', 'copy@dest.test'],
    ],
    ['of others', { from: '' }, ['rcpt@dest.test']],
  ])('a blind copy: mail %s', async (_, mail, expected) => {
    await guard.configure({ blind_copy: { mode: 'tag', ...copy } });
    const { id, code, reply } = await guard.send(kind, mail);
    expectThat(code, reply).toBe(250);
    const { rcptTo } = await guard.delivered(id);
    expect(rcptTo.map(({ address }) => address).toSorted()).toStrictEqual(expected);
    // The sender must not learn of it, neither by a notice of its delivery nor by one of its failure.
    const silent = rcptTo.filter(({ params }) => params.includes('NOTIFY=NEVER'));
    expect(silent.map(({ address }) => address)).toStrictEqual(
      expected.filter((address) => address === 'copy@dest.test'),
    );
  });

  test.each<[string, Trial, readonly string[]]>([
    [
      'fits',
      { from: FROM, to: ['old@dest.test', 'b@dest.test'] },
      ['b@dest.test', 'new@dest.test', 'other@dest.test'],
    ],
    ['has another sender', { to: 'old@dest.test' }, ['old@dest.test']],
    ['has another recipient', { from: FROM }, ['rcpt@dest.test']],
  ])('an alias whose pair %s', async (_, mail, expected) => {
    await guard.configure({ smart_alias: { mode: 'tag', ...pair } });
    const { id, code, reply } = await guard.send(kind, mail);
    expectThat(code, reply).toBe(250);
    expect(await recipientsOf(id)).toStrictEqual(expected);
  });

  test('the archive has what is accepted, as it arrived', async () => {
    const file = path.join(guard.dir, `archive-${kind}/mbox`);
    const honeypot = { mode: 'reject', recipients: 'trap@dest.test' };
    const archive = { mode: 'tag', file };
    await guard.configure({ archive, honeypot });
    expect((await guard.send(kind, { to: 'trap@dest.test' })).code).toBe(550);
    const { id } = await guard.send(kind, { body: 'From here on\r\n' });
    const text = fs.readFileSync(file, 'utf8');
    expect(text.match(/^From .*/gm)).toStrictEqual([expect.stringMatching(/^From joe@stranger\.example /)]);
    expect(text).toContain(id);
    expect(text).toMatch(/^>From here on$/m);
    await guard.configure({ archive: { ...archive, mode: 'dry-run' } });
    expect((await guard.send(kind)).code).toBe(250);
    expect(fs.readFileSync(file, 'utf8')).toBe(text);
  });
});

test.each([
  ['blind_copy', 'copy_to', 'ann'],
  ['smart_alias', 'aliases', 'a@b.test: c@d.test'],
  ['smart_alias', 'aliases', 'a@b.test c@d.test:'],
])('[%s] %s = %s is refused with its line', async (rule, option, value) => {
  await guard.tryConfiguration(
    { [rule]: { mode: 'tag', [option]: value } },
    new RegExp(`guard\\.cfg:\\d+.*\\[${rule}\\] ${option}: .* is not`),
  );
});
