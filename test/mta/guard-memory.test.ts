// Rules of the production filter that remember, behind both MTAs.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Reputation } from 'tsmilter/reputation';
import { MODES, type Mode } from '../../examples/guard/rule';
import { freePort } from '../../tools/free-ports';
import { RedisServer } from '../../tools/redis';
import { startRspamd, startSpamd } from '../../tools/scanners';
import { expectThat } from '../support/expect';
import { clients, effectOf, GuardFixture, type Trial, zone } from './support/guard-fixture';
import { kinds } from './support/mta-fixture';

let guard: GuardFixture;

beforeAll(async () => {
  guard = await GuardFixture.start(zone);
});
afterAll(() => guard?.stop());

describe.each(kinds)('rate_limit, %s', (kind) => {
  const NO_LIMITS = { account_hour: '0', account_day: '0', client_hour: '0', sender_hour: '0', message: '0' };

  // Each mode has an account of its own, so that what others have sent does not count.
  test.each(MODES)('mode %s', async (mode) => {
    await guard.configure({ rate_limit: { ...NO_LIMITS, mode, account_hour: '1' } });
    const mail = { user: `${mode}.${kind}`, from: 'ann@ours.test' };
    expect((await guard.send(kind, mail)).code).toBe(250);
    const { code, reply, id } = await guard.send(kind, mail);
    const effect = effectOf({ atMost: 'defer' }, mode);
    if (effect === 'defer')
      expect(reply).toMatch(
        /^451 4\.7\.1 Too many recipients in one hour\. Please try again in \d+ minutes\./,
      );
    else {
      expectThat(code, reply).toBe(250);
      expect(await guard.wasDelivered(kind, id)).toBe(effect !== 'quarantine');
    }
    if (mode === 'off') expect(guard.log).not.toContain('RATE_LIMIT');
    else await guard.logged(new RegExp(`RATE_LIMIT ${effect}: account "${mode}\\.${kind}" has had too many`));
  });

  const forged: Trial = { from: `forged.${kind}@stranger.example` };
  const own: Trial = { at: clients.inside, from: `own.${kind}@ours.test` };
  const passing: Trial = { from: `${kind}@pass.example` };
  test.each<[string, Record<string, string>, Trial, readonly number[]]>([
    ['a client', { client_hour: '1' }, { at: kind === 'sendmail' ? '127.0.9.1' : '127.0.9.2' }, [250, 451]],
    [
      'a client in a day',
      { client_day: '1' },
      { at: kind === 'sendmail' ? '127.0.9.3' : '127.0.9.4' },
      [250, 451],
    ],
    ['a sender of ours', { sender_hour: '1' }, own, [250, 451]],
    ['a sender that SPF passes', { sender_hour: '1' }, passing, [250, 451]],
    ['a sender that anybody may have forged: not counted', { sender_hour: '1' }, forged, [250, 250]],
    ['nobody', {}, { user: `free.${kind}` }, [250, 250]],
  ])('the limit of %s', async (_, limits, mail, expected) => {
    const everybody = 'internal, authenticated, external, dynamic';
    await guard.configure({ rate_limit: { ...NO_LIMITS, mode: 'defer', clients: everybody, ...limits } });
    for (const code of expected) {
      const tried = await guard.send(kind, mail);
      expectThat(tried.code, tried.reply).toBe(code);
    }
  });

  test('the recipients of one message', async () => {
    await guard.configure({ rate_limit: { ...NO_LIMITS, mode: 'reject', message: '2' } });
    const { id } = await guard.send(kind, { to: ['a@dest.test', 'b@dest.test', 'c@dest.test'] });
    await guard.logged(/RATE_LIMIT defer: more than 2 recipients/);
    const { rcptTo } = await guard.delivered(id);
    expect(rcptTo.map(({ address }) => address).toSorted()).toStrictEqual(['a@dest.test', 'b@dest.test']);
  });
});

test('Redis counts what several hosts have sent; without it, nothing is limited', async () => {
  const port = await freePort();
  const configure = (mode: Mode) =>
    guard.configure({
      milter: { state: `redis://127.0.0.1:${port}/1` },
      rate_limit: { mode, account_hour: '1' },
    });
  const mail = { user: 'shared', from: 'ann@ours.test' };
  const redis = await RedisServer.start(port);
  try {
    await configure('defer');
    expect((await guard.send('postfix', mail)).code).toBe(250);
    expect((await guard.send('postfix', mail)).code).toBe(451);
  } finally {
    await redis[Symbol.asyncDispose]();
  }
  expect((await guard.send('postfix', mail)).code).toBe(250);
  await guard.logged(/ratelimit in Redis at redis:\/\/127\.0\.0\.1/);
});

describe.each(kinds)('auto_whitelist, %s', (kind) => {
  const rules = (mode: Mode) => ({
    auto_whitelist: { mode },
    dynamic_ptr: { mode: 'reject' },
    greylist: { mode: 'defer', clients: 'external, dynamic' },
  });
  /** A client that is not trusted otherwise; SPF passes for trusted.example alone. */
  const answer = (user: string): Trial => ({ at: clients.dynamic, from: `${user}.${kind}@trusted.example` });
  const mailTo = (user: string, more: Trial = {}): Trial => ({
    at: clients.inside,
    from: 'ann@ours.test',
    to: `${user}.${kind}@trusted.example`,
    ...more,
  });

  test('somebody whom a user has written to is trusted, if SPF passes', async () => {
    await guard.configure(rules('tag'));
    expect((await guard.send(kind, answer('friend'))).code).toBe(550);
    expect((await guard.send(kind, mailTo('friend'))).code).toBe(250);
    const { code, reply } = await guard.send(kind, answer('friend'));
    expectThat(code, reply).toBe(250);
    expect(guard.log).toContain(
      `AUTO_WHITELIST trust: our users have written to "friend.${kind}@trusted.example"`,
    );
    // The same address, which somebody else has forged.
    const forged = { ...answer('friend'), at: clients.stranger };
    expect((await guard.send(kind, forged)).code).toBe(451);
  });

  test('a user who has logged in makes somebody known as well', async () => {
    await guard.configure(rules('tag'));
    expect((await guard.send(kind, mailTo('login', { at: clients.user, user: 'ann' }))).code).toBe(250);
    expect((await guard.send(kind, answer('login'))).code).toBe(250);
  });

  test.each<[string, Trial]>([
    ['bounces', { from: '' }],
    ['automatic', { headers: ['Auto-Submitted: auto-replied (vacation)'] }],
    ['lists', { headers: ['Precedence: bulk'] }],
    ['outside', { at: clients.stranger, from: 'joe@stranger.example' }],
  ])('nobody is known by %s', async (user, more) => {
    await guard.configure({ auto_whitelist: { mode: 'tag' } });
    expect((await guard.send(kind, mailTo(user, more))).code).toBe(250);
    await guard.configure(rules('tag'));
    expect((await guard.send(kind, answer(user))).code).toBe(550);
  });

  test('mail that is refused makes nobody known', async () => {
    await guard.configure({ ...rules('tag'), internal_sender: { mode: 'reject' } });
    expect((await guard.send(kind, mailTo('refused', { from: 'joe@other.example' }))).code).toBe(550);
    expect((await guard.send(kind, answer('refused'))).code).toBe(550);
  });

  test('dry run learns, and trusts nobody', async () => {
    await guard.configure(rules('dry-run'));
    expect((await guard.send(kind, mailTo('dry'))).code).toBe(250);
    expect((await guard.send(kind, answer('dry'))).code).toBe(550);
    expect(guard.log).toContain('AUTO_WHITELIST dry-run: our users have written to');
  });
});

test('hosts share by Redis whom users have written to; without it, nobody is trusted and nothing refused', async () => {
  const port = await freePort();
  const configure = () =>
    guard.configure({
      milter: { state: `redis://127.0.0.1:${port}/1` },
      auto_whitelist: { mode: 'tag' },
      dynamic_ptr: { mode: 'reject' },
    });
  const answer = { at: clients.dynamic, from: 'redis@trusted.example' };
  const redis = await RedisServer.start(port);
  try {
    await configure();
    await guard.send('postfix', { at: clients.inside, from: 'ann@ours.test', to: 'redis@trusted.example' });
    expect((await guard.send('postfix', answer)).code).toBe(250);
  } finally {
    await redis[Symbol.asyncDispose]();
  }
  expect((await guard.send('postfix', answer)).code).toBe(550);
  await guard.logged(/AUTO_WHITELIST does not work: addresses in Redis/);
  expect((await guard.send('postfix', { from: 'joe@pass.example' })).code).toBe(250);
});

test.each<[string, Record<string, string>]>([
  ['in dry run', { mode: 'dry-run' }],
  ['that tags a header', { mode: 'tag' }],
])('a finding %s teaches reputation neither good nor bad', async (name, rule) => {
  const domain = `${name.replaceAll(' ', '-')}.example`;
  await using reputation = new Reputation(path.join(guard.stateDirectory, 'reputation.db'));
  await guard.configure({ reputation: { mode: 'tag' }, subject_words: { ...rule, words: 'lottery' } });
  const mail = { from: `joe@${domain}`, headers: ['Subject: lottery'] };
  expect((await guard.send('postfix', mail)).code).toBe(250);
  await guard.configure({});
  expect(await reputation.score(domain, 'none')).toMatchObject({ messages: 0 });
});

describe('a honeypot', () => {
  let spamd: Awaited<ReturnType<typeof startSpamd>>;
  let rspamd: Awaited<ReturnType<typeof startRspamd>>;

  beforeAll(async () => {
    [spamd, rspamd] = await Promise.all([startSpamd(), startRspamd()]);
    fs.writeFileSync(path.join(guard.dir, 'rspamd-password'), `${rspamd.password}\n`, { mode: 0o600 });
  });
  afterAll(async () => {
    await spamd?.stop();
    await rspamd?.stop();
  });

  const training = () => ({
    spamd: `${spamd.path}`,
    rspamd: `127.0.0.1:${rspamd.controller}`,
    rspamd_password_file: 'rspamd-password',
  });
  /** Words enough for a classifier; no two messages have the same. */
  const words = (name: string) =>
    `${Array.from({ length: 60 }, (_, nth) => `${name}${nth}abc`).join(' ')}\r\n`;
  const LEARNED = /TRAINING rspamd has learned a message of "joe@stranger\.example"/;
  const trap = (name: string): Trial => ({ to: 'trap@dest.test', body: words(name) });

  describe.each(kinds)('%s', (kind) => {
    test.each(MODES)('mode %s teaches scanners what it gets', async (mode) => {
      await guard.configure({
        honeypot: { mode, read_message: 'yes' },
        training: { mode: 'tag', ...training() },
      });
      const { code, reply, id } = await guard.send(kind, trap(`${kind}${mode.replace('-', '')}`));
      expectThat(code, reply).toBe(mode === 'reject' ? 550 : mode === 'defer' ? 451 : 250);
      if (mode === 'reject') expect(reply).toMatch(/5\.1\.1 "trap@dest\.test" is not known here/);
      if (code === 250) expect(await guard.wasDelivered(kind, id)).toBe(mode !== 'quarantine');
      if (mode === 'off' || mode === 'dry-run') {
        await guard.logged(/ACCEPT message/);
        expect(guard.log).not.toContain('TRAINING');
      } else {
        await guard.logged(LEARNED);
        expect(guard.log).toContain('TRAINING spamd has learned a message of "joe@stranger.example"');
      }
    });

    test('the refusal is for all recipients of the message, and is told at its end', async () => {
      await guard.configure({
        honeypot: { mode: 'reject', read_message: 'yes' },
        known_users: { mode: 'reject' },
        training: { mode: 'tag', ...training() },
      });
      const to = ['rcpt@dest.test', 'trap@dest.test', 'u-ann@dest.test'];
      expect((await guard.send(kind, { to, body: words(`${kind}all`) })).code).toBe(550);
      await guard.logged(LEARNED);
      // A recipient who is refused for something else is refused at once.
      const { reply } = await guard.send(kind, {
        to: ['trap@dest.test', 'u-nobody@dest.test'],
        body: words(`${kind}two`),
      });
      expect(guard.log).toMatch(/REJECT known_users: to "u-nobody@dest\.test"/);
      expect(reply).toMatch(/5\.1\.1 "trap@dest\.test"/);
    });

    test('it is refused at once, and teaches nothing, unless it is to be read', async () => {
      await guard.configure({ honeypot: { mode: 'reject' }, training: { mode: 'tag', ...training() } });
      const { code } = await guard.send(kind, { to: ['rcpt@dest.test', 'trap@dest.test'] });
      expect(code).toBe(250);
      await guard.logged(/REJECT honeypot: to "trap@dest\.test"/);
    });

    test('counts against the sender, also if it is refused at once', async () => {
      await using reputation = new Reputation(path.join(guard.stateDirectory, 'reputation.db'));
      for (const read_message of ['yes', 'no']) {
        const domain = `${kind}-${read_message}.example`;
        await guard.configure({ honeypot: { mode: 'reject', read_message }, reputation: { mode: 'tag' } });
        expect((await guard.send(kind, { from: `eve@${domain}`, to: 'trap@dest.test' })).code).toBe(550);
        await guard.configure({});
        expect(await reputation.score(domain, 'none')).toMatchObject({ messages: 1, score: -100 });
      }
    });
  });

  test('what was learned is spam to the scanners themselves', async () => {
    await guard.configure({
      honeypot: { mode: 'quarantine', read_message: 'yes' },
      training: { mode: 'tag', ...training() },
    });
    await guard.send('postfix', trap('asked'));
    await guard.logged(LEARNED);
    const stat = await fetch(`http://127.0.0.1:${rspamd.controller}/stat`, {
      headers: { Password: rspamd.password },
    });
    expect(((await stat.json()) as { learned: number }).learned).toBeGreaterThan(0);
  });

  test('dry run says what would be learned', async () => {
    await guard.configure({
      honeypot: { mode: 'reject', read_message: 'yes' },
      training: { mode: 'dry-run', ...training() },
    });
    expect((await guard.send('postfix', trap('dry'))).code).toBe(550);
    await guard.logged(/TRAINING dry-run: rspamd would learn a message of/);
    expect(guard.log).not.toContain('has learned');
  });

  test('a scanner that is away changes nothing', async () => {
    await guard.configure({
      honeypot: { mode: 'quarantine' },
      training: { mode: 'tag', spamd: `127.0.0.1:${await freePort()}` },
    });
    expect((await guard.send('postfix', trap('away'))).code).toBe(250);
    await guard.logged(/TRAINING spamd has not learned a message of .*: "spamd: no connection/);
  });
});
