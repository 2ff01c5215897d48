// The production filter (examples/guard.ts) behind both MTAs, with a DNS server of its own: every rule in each of its modes, as
// the client hears it and as the message is delivered.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DnsServer } from '../../tools/dns-server';
import { expectThat } from '../support/expect';
import { clients, GuardFixture, type Trial, zone } from './support/guard-fixture';
import { type Kind, kinds } from './support/mta-fixture';
import { headersOf } from './support/view';

const MODES = ['off', 'dry-run', 'tag', 'quarantine', 'defer', 'reject'] as const;
type Mode = (typeof MODES)[number];

/** A message that one rule finds something about, and no other. */
interface Case extends Trial {
  readonly rule: string;
  /** The most severe effect. */
  readonly atMost?: Mode;
  /** In the reply to a refusal. */
  readonly says: RegExp;
}

const CASES: readonly Case[] = [
  { rule: 'banned_ips', at: clients.banned, says: /5\.7\.1 Mail from 127\.0\.6\.1 is not accepted/ },
  { rule: 'ptr_localhost', at: clients.localhost, says: /5\.7\.25 .*127\.0\.4\.1.*"localhost"/ },
  { rule: 'dynamic_ptr', at: clients.dynamic, says: /5\.7\.25 .*127\.0\.5\.1 has no name/ },
  { rule: 'dnsbl', at: clients.listed, says: /5\.7\.1 127\.0\.7\.1 is listed by bl\.test: "listed"/ },
  { rule: 'helo_missing', helo: null, says: /5\.7\.1 Please say HELO first/ },
  { rule: 'helo_numeric', helo: '127.0.3.1', says: /5\.7\.1 HELO "127\.0\.3\.1" is not a name/ },
  { rule: 'helo_own_name', helo: 'mx.ours.test', says: /5\.7\.1 You are not "mx\.ours\.test"/ },
  {
    rule: 'internal_sender',
    at: clients.inside,
    from: 'joe@other.example',
    says: /5\.7\.1 "other\.example" is not/,
  },
  {
    rule: 'spoofed_sender',
    from: 'ann@ours.test',
    says: /5\.7\.1 Mail from "ours\.test" comes from our own/,
  },
  {
    rule: 'banned_senders',
    from: 'eve@spam.example',
    says: /5\.7\.1 Mail from "eve@spam\.example" is not accepted/,
  },
  { rule: 'spf', from: 'ann@fail.example', says: /5\.7\.23 SPF fail of "ann@fail\.example"/ },
  { rule: 'greylist', at: clients.relay, atMost: 'defer', says: /4\.7\.1 Greylisted/ },
];

/** What a finding of this mode does to a message of this case. */
function effectOf({ atMost }: Case, mode: Mode): Mode {
  return atMost !== undefined && MODES.indexOf(mode) > MODES.indexOf(atMost) ? atMost : mode;
}

describe('guard', () => {
  let dns: DnsServer;
  let guard: GuardFixture;

  beforeAll(async () => {
    dns = await DnsServer.start(zone);
    guard = await GuardFixture.start(dns);
  });
  afterAll(async () => {
    await guard?.stop();
    await dns?.close();
  });

  describe.each(MODES)('mode %s', (mode) => {
    beforeAll(async () => {
      const names = CASES.map(({ rule }) => rule);
      await guard.configure(Object.fromEntries(names.map((name) => [name, { mode }])));
    });

    describe.each(kinds)('%s', (kind) => {
      test.each(CASES.map((each) => [each.rule, each] as const))('%s', async (rule, each) => {
        const effect = effectOf(each, mode);
        // Each mode has a recipient of its own, so that greylisting has never seen it.
        const { reply, code, id } = await guard.send(kind, { ...each, to: `${mode}.${rule}@dest.test` });
        if (effect === 'defer' || effect === 'reject') {
          expectThat(code, reply).toBe(effect === 'defer' ? 451 : 550);
          expect(reply.replaceAll(/^(\d{3}.)[45]/gm, '$15')).toMatch(sourceOf(each.says));
        } else {
          expectThat(code, reply).toBe(250);
          await expectDelivered(kind, id, effect, rule);
        }
        await guard.logged(
          mode === 'off' ? /ACCEPT message/ : new RegExp(`${rule.toUpperCase()} ${effect}: `),
        );
        if (mode === 'off') expect(guard.log).not.toContain(`${rule.toUpperCase()} `);
      });
    });
  });

  /** A permanent and a temporary refusal differ in the first digit alone. */
  const sourceOf = (says: RegExp) => new RegExp(says.source.replace(/^[45]/, '5'));

  async function expectDelivered(kind: Kind, id: string, effect: Mode, rule: string): Promise<void> {
    expect(await guard.wasDelivered(kind, id)).toBe(effect !== 'quarantine');
    if (effect === 'quarantine') return;
    const fields = headersOf(await guard.delivered(id)).filter((field) => field.startsWith('X-Guard:'));
    expect(fields.map((field) => field.replace(/;[\s\S]*/, ''))).toStrictEqual(
      effect === 'tag' ? [`X-Guard: ${rule}`] : [],
    );
  }

  describe.each(kinds)('%s', (kind) => {
    test('mail that nothing is wrong with passes all rules, and loses a forged X-Guard', async () => {
      await guard.configure(Object.fromEntries(CASES.map(({ rule }) => [rule, { mode: 'reject' }])));
      const { code, id, reply } = await guard.send(kind, { headers: ['X-Guard: clean'] });
      expectThat(code, reply).toBe(250);
      const delivered = await guard.delivered(id);
      expect(headersOf(delivered).filter((field) => /^x-guard/i.test(field))).toStrictEqual([]);
    });

    test('a sender that is greylisted passes at its second attempt', async () => {
      await guard.configure({ greylist: { mode: 'defer', delay: '0' } });
      const mail = { at: clients.relay, to: `grey.${kind}@dest.test` };
      expect((await guard.send(kind, mail)).code).toBe(451);
      expect((await guard.send(kind, mail)).code).toBe(250);
    });

    test('the most severe finding wins, and others still leave their marks', async () => {
      await guard.configure({
        helo_numeric: { mode: 'tag', subject: '[SPAM]' },
        spoofed_sender: { mode: 'quarantine' },
      });
      const trial = { helo: '127.0.3.1', headers: ['Subject: hello'] };
      const spoofed = await guard.send(kind, { ...trial, from: 'ann@ours.test' });
      expect(await guard.wasDelivered(kind, spoofed.id)).toBe(false);
      const tagged = await guard.send(kind, trial);
      expect(headersOf(await guard.delivered(tagged.id))).toContain('Subject: [SPAM] hello');
      await guard.configure({ helo_numeric: { mode: 'defer' }, spoofed_sender: { mode: 'reject' } });
      expect((await guard.send(kind, { ...trial, from: 'ann@ours.test' })).reply).toMatch(
        /^550 5\.7\.1 Mail from/,
      );
    });

    test('a user who has logged in is not judged by address or HELO', async () => {
      await guard.configure({
        dynamic_ptr: { mode: 'reject' },
        helo_own_name: { mode: 'reject' },
        spf: { mode: 'reject' },
      });
      const { code, reply } = await guard.send(kind, { user: 'mx.ours.test', from: 'ann@fail.example' });
      expectThat(code, reply).toBe(250);
      await guard.logged(/MAIL from "ann@fail\.example" user "mx\.ours\.test"/);
    });
  });

  describe('SPF by sender', () => {
    test.each([
      ['pass.example', /^250/],
      ['soft.example', /^250/],
      ['refused.soft.example', /^550 5\.7\.1 SPF softfail/],
      ['held.soft.example', /^250/],
      ['down.example', /^451 4\.4\.3 SPF temperror/],
      ['wrong.example', /^250/],
      ['partner.fail.example', /^250/],
    ])('%s', async (domain, expected) => {
      fs.writeFileSync(
        path.join(guard.dir, 'access'),
        'SPF-Softfail:refused.soft.example REJECT\nSPF-Fail:partner.fail.example OK\nSPF-Softfail:held.soft.example QUARANTINE\n',
      );
      await guard.configure({ spf: { mode: 'reject', access_file: 'access' } });
      const { reply } = await guard.send('postfix', { from: `ann@${domain}` });
      expect(reply).toMatch(expected);
    });
  });

  describe('the configuration', () => {
    test('a mistake is reported with its line, and the old configuration stays', async () => {
      await guard.configure({ spoofed_sender: { mode: 'reject' } });
      await guard.tryConfiguration(
        { spoofed_sender: { mode: 'rejekt' } },
        /guard\.cfg:\d+: \[spoofed_sender\] mode: rejekt is not one of/,
      );
      await guard.tryConfiguration(
        { spoofed_sender: { mod: 'off' } },
        /guard\.cfg:\d+: \[spoofed_sender\] mod is unknown; did you mean mode\?/,
      );
      await guard.tryConfiguration(
        { spofed_sender: { mode: 'off' } },
        /guard\.cfg:\d+: \[spofed_sender\] is unknown; did you mean spoofed_sender\?/,
      );
      expect((await guard.send('postfix', { from: 'ann@ours.test' })).code).toBe(550);
    });

    test('dry_run takes the teeth out of all rules', async () => {
      await guard.configure({ milter: { dry_run: 'yes' }, spoofed_sender: { mode: 'reject' } });
      expect((await guard.send('postfix', { from: 'ann@ours.test' })).code).toBe(250);
      await guard.logged(/SPOOFED_SENDER dry-run: external mail from "ann@ours\.test"/);
    });

    test('a change of the file counts without a signal', async () => {
      await guard.configure({ spoofed_sender: { mode: 'reject' } });
      guard.write({ spoofed_sender: { mode: 'off' } });
      await guard.logged(/CONFIG was read again: a file has changed/);
      expect((await guard.send('postfix', { from: 'ann@ours.test' })).code).toBe(250);
    });

    test('a session keeps the configuration with which it began', async () => {
      await guard.configure({ greylist: { mode: 'defer' } });
      const client = await guard.open('postfix', clients.relay);
      try {
        await client.command('EHLO mail.stranger.example');
        await guard.configure({});
        await client.command('MAIL FROM:<joe@stranger.example>');
        expect((await client.command('RCPT TO:<kept@dest.test>')).code).toBe(451);
        await client.quit();
      } finally {
        client.destroy();
      }
      await guard.configure({});
    });
  });

  test('what a client sends cannot forge a line of the log', async () => {
    await guard.configure({ helo_numeric: { mode: 'tag' }, spoofed_sender: { mode: 'tag' } });
    const { code } = await guard.send('postfix', { from: '"x\\" ACCEPT message: "@ours.test' });
    expect(code).toBe(250);
    await guard.logged(
      /SPOOFED_SENDER tag: external mail from "\\"x\\\\\\" ACCEPT message: \\"@ours\.test"$/m,
    );
  });
});
