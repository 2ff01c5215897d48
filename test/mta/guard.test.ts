// The production filter (examples/guard.ts) behind both MTAs, with a DNS server of its own: every rule in each of its modes, as
// the client hears it and as the message is delivered.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Reputation } from 'tsmilter/reputation';
import { Srs } from 'tsmilter/srs';
import { MODES, type Mode } from '../../examples/guard/rule';
import { freePort } from '../../tools/free-ports';
import { RedisServer } from '../../tools/redis';
import { expectThat } from '../support/expect';
import { SmtpScript } from '../support/smtp-script';
import { clients, effectOf, GuardFixture, type Trial, zone } from './support/guard-fixture';
import { type Kind, kinds } from './support/mta-fixture';
import { headersOf } from './support/view';

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
  {
    rule: 'internal_null_sender',
    at: clients.inside,
    from: '',
    says: /5\.7\.1 Only mail servers send bounces/,
  },
  {
    rule: 'auth_sender',
    user: 'ann',
    from: 'joe@other.example',
    says: /5\.7\.1 "ann" may not send mail as "joe@/,
  },
  {
    rule: 'reputation',
    from: 'joe@bad.example',
    says: /5\.7\.1 Most of the recent mail from "bad\.example" was spam/,
  },
  { rule: 'private_relay', to: 'private@dest.test', says: /5\.7\.2 "private@dest\.test" does not get mail/ },
  { rule: 'honeypot', to: 'trap@dest.test', says: /5\.1\.1 "trap@dest\.test" is not known/ },
  {
    rule: 'signed_bounce',
    from: '',
    to: 'signed@dest.test',
    says: /5\.7\.1 "signed@dest\.test" has not sent/,
  },
  { rule: 'known_users', to: 'u-nobody@dest.test', says: /5\.1\.1 "u-nobody@dest\.test" is not known/ },
  { rule: 'greylist', at: clients.relay, atMost: 'defer', says: /4\.7\.1 Greylisted/ },
];

describe('guard', () => {
  let guard: GuardFixture;

  beforeAll(async () => {
    guard = await GuardFixture.start(zone);
    // The filter and the test share its file, as two filters would.
    await using reputation = new Reputation(path.join(guard.stateDirectory, 'reputation.db'));
    for (let spam = 0; spam < 60; spam++) await reputation.record('bad.example', 'none', 'spam');
  });
  afterAll(() => guard?.stop());

  describe.each(MODES)('mode %s', (mode) => {
    beforeAll(async () => {
      const names = CASES.map(({ rule }) => rule);
      await guard.configure(Object.fromEntries(names.map((name) => [name, { mode }])));
    });

    describe.each(kinds)('%s', (kind) => {
      test.each(CASES.map((each) => [each.rule, each] as const))('%s', async (rule, each) => {
        const effect = effectOf(each, mode);
        // Each mode has a recipient of its own, so that greylisting has never seen it.
        const { reply, code, id } = await guard.send(kind, { to: `${mode}.${rule}@dest.test`, ...each });
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

    test('X-Guard of a user who has logged in is removed, too, but dry run changes nothing', async () => {
      const forged = { headers: ['X-Guard: clean'] };
      const guardFields = async (id: string) =>
        headersOf(await guard.delivered(id)).filter((field) => field.startsWith('X-Guard'));
      await guard.configure({});
      const own = await guard.send(kind, { ...forged, user: 'ann', from: 'ann@ours.test' });
      expect(await guardFields(own.id)).toStrictEqual([]);
      await guard.configure({ milter: { dry_run: 'yes' } });
      expect(await guardFields((await guard.send(kind, forged)).id)).toStrictEqual(['X-Guard: clean']);
    });

    test('mail for our domains that SPF allows is not spoofed; postmaster is known', async () => {
      await guard.configure({
        spoofed_sender: { mode: 'reject' },
        known_users: { mode: 'reject', domains: '@dest.test' },
      });
      expect((await guard.send(kind, { from: 'ann@branch.ours.test', to: 'u-ann@dest.test' })).code).toBe(
        250,
      );
      expect((await guard.send(kind, { to: 'Postmaster@dest.test' })).code).toBe(250);
      for (const to of ['nobody@dest.test', 'SRS0=a=b=c=d@dest.test'])
        expect((await guard.send(kind, { to })).code).toBe(550);
    });

    test('HELO costs once in a session, and nothing if it is only tagged', async () => {
      const greet = async (mode: Mode) => {
        await guard.configure({ helo_numeric: { mode }, max_demerits: { mode: 'tag', max: '1' } });
        const client = await guard.open(kind);
        try {
          for (const hello of ['EHLO 127.0.3.1', 'EHLO 127.0.3.1', 'EHLO mail.stranger.example'])
            await client.command(hello);
          await client.command('MAIL FROM:<joe@stranger.example>');
          return (await client.command('RCPT TO:<rcpt@dest.test>')).code;
        } finally {
          client.destroy();
        }
      };
      expect(await greet('reject')).toBe(250);
      await guard.logged(/MAX_DEMERITS tag: 1 demerits/);
      expect(await greet('tag')).toBe(250);
      expect(guard.log).not.toContain('MAX_DEMERITS');
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

    test('what is found about many recipients is marked once', async () => {
      await guard.configure({ known_users: { mode: 'tag' } });
      const { id } = await guard.send(kind, {
        to: ['u-one@dest.test', 'u-two@dest.test', 'u-ann@dest.test'],
      });
      const marks = headersOf(await guard.delivered(id)).filter((field) => field.startsWith('X-Guard:'));
      expect(marks).toStrictEqual(['X-Guard: known_users; no user "u-one@dest.test"']);
    });

    test('a sender whom SPF trusts is spared rules of suspicion, also those that have been asked before', async () => {
      fs.writeFileSync(path.join(guard.dir, 'trusted'), 'SPF-Pass:trusted.example OK\n');
      await guard.configure({
        dynamic_ptr: { mode: 'reject' },
        greylist: { mode: 'defer', clients: 'dynamic' },
        spf: { mode: 'reject', access_file: 'trusted' },
      });
      const trusted = await guard.send(kind, { at: clients.dynamic, from: 'ann@trusted.example' });
      expectThat(trusted.code, trusted.reply).toBe(250);
      expect((await guard.send(kind, { at: clients.dynamic })).code).toBe(550);
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

  describe.each(kinds)('demerits, %s', (kind) => {
    // An address for each MTA and mode: it is banned afterwards.
    test.each(MODES.map((mode, at) => [mode, `127.0.${kind === 'sendmail' ? 20 : 21}.${at + 1}`] as const))(
      'mode %s of the third recipient after two unknown ones',
      async (mode, at) => {
        const rules = { known_users: { mode: 'reject' }, banned_ips: { mode: 'reject' } };
        await guard.configure({ ...rules, max_demerits: { mode, max: '2' } });
        const to = ['u-one@dest.test', 'u-two@dest.test', 'rcpt@dest.test'];
        const { code, reply, id } = await guard.send(kind, { at, to });
        const refuses = mode === 'defer' || mode === 'reject';
        expectThat(code, reply).toBe(mode === 'defer' ? 451 : mode === 'reject' ? 550 : 250);
        if (refuses) expect(reply).toMatch(/ [45]\.7\.1 Too many errors/);
        else await expectDelivered(kind, id, mode, 'max_demerits');

        // The ban is written when the session ends.
        if (refuses) await guard.bans(at);
        const again = await guard.send(kind, { at });
        expectThat(again.code, again.reply).toBe(refuses ? 451 : 250); // a ban ends
      },
    );
  });

  describe('bounces', () => {
    test.each([
      ['signed', 250],
      ['forged', 550],
    ])('to a recipient that is %s', async (what, expected) => {
      await guard.configure({ signed_bounce: { mode: 'reject', domain: 'dest.test' } });
      const secret = what === 'signed' ? 'a secret of ours' : 'a guess';
      const srs = new Srs({ secrets: [secret], domain: 'dest.test' });
      const to = srs.forward('<joe@other.example>').slice(1, -1);
      const { code, reply } = await guard.send('postfix', { from: '', to });
      expectThat(code, reply).toBe(expected);
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

  describe("the sender's mail server", () => {
    let server: SmtpScript;
    beforeAll(async () => {
      server = await SmtpScript.start({
        'RCPT TO:<nobody': '550 5.1.1 no such user',
        'RCPT TO:<blocked': '550 5.7.1 your address is on a list',
      });
      fs.writeFileSync(
        path.join(guard.dir, 'asking'),
        'SPF-None:told@asked.example DSN\nSPF-None:nobody-told@asked.example DSN\nSPF-None:asked.example CBV\n',
      );
    });
    afterAll(() => server?.[Symbol.asyncDispose]());

    const configure = (mode: Mode) =>
      guard.configure({
        spf: { mode, access_file: 'asking' },
        callback: { port: String(server.port), private_hosts: 'yes' },
      });

    test.each([
      ['ann', /^250/, 0],
      [
        'nobody',
        /^550 5\.1\.8 SPF none of "nobody@asked\.example", and .* says: "550 5\.1\.1 no such user"/,
        0,
      ],
      ['told', /^250/, 1],
      ['nobody-told', /^550 5\.1\.8/, 0],
    ])('is asked about %s once, whatever is configured meanwhile', async (user, expected, notices) => {
      server.messages.length = 0;
      for (const _again of [1, 2]) {
        await configure('reject');
        const { reply } = await guard.send('postfix', { from: `${user}@asked.example` });
        expect(reply).toMatch(expected);
      }
      const asked = server.commands.filter((command) => command.includes(`RCPT TO:<${user}@`));
      expect(asked).toHaveLength(1);
      expect(server.messages).toHaveLength(notices);
      for (const message of server.messages)
        expect(message).toContain(`SPF none of "${user}@asked.example".`);
    });

    test('says nothing about a sender if it has something against this host', async () => {
      await configure('reject');
      const { reply } = await guard.send('postfix', { from: 'blocked@asked.example' });
      expect(reply).toMatch(/^250/);
      expect(server.commands.join()).toContain('RCPT TO:<blocked@asked.example>');
    });

    test('is not asked in dry run', async () => {
      await configure('dry-run');
      const { reply } = await guard.send('postfix', { from: 'nobody-else@asked.example' });
      expect(reply).toMatch(/^250/);
      expect(server.commands.filter((command) => command.includes('nobody-else'))).toStrictEqual([]);
    });
  });

  test('Redis keeps the state with one line; without Redis, mail is accepted', async () => {
    const port = await freePort();
    const redis = await RedisServer.start(port);
    try {
      await guard.configure({
        milter: { state: `redis://127.0.0.1:${port}/1` },
        greylist: { mode: 'defer', delay: '0' },
      });
      const mail = { at: clients.relay, to: 'redis@dest.test' };
      expect((await guard.send('postfix', mail)).code).toBe(451);
      expect((await guard.send('postfix', mail)).code).toBe(250);
    } finally {
      await redis[Symbol.asyncDispose]();
    }
    expect((await guard.send('postfix', { at: clients.relay, to: 'lost@dest.test' })).code).toBe(250);
    await guard.logged(/GREYLIST does not work/);
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
