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
