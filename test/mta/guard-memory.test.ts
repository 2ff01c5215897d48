// Rules of the production filter that remember, behind both MTAs.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MODES, type Mode } from '../../examples/guard/rule';
import { DnsServer } from '../../tools/dns-server';
import { freePort } from '../../tools/free-ports';
import { RedisServer } from '../../tools/redis';
import { expectThat } from '../support/expect';
import { clients, effectOf, GuardFixture, type Trial, zone } from './support/guard-fixture';
import { kinds } from './support/mta-fixture';

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
