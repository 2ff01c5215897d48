// The production filter on several hosts (docs/guard-hosts.md): two processes behind one MTA and HAProxy, with their state in Redis.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { TIMEOUT, until } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { clients } from './support/guard-fixture';
import { type Accepted, GuardHosts, HOSTS, type HostName } from './support/guard-hosts';
import { type Kind, kinds, nextId } from './support/mta-fixture';
import { headersOf } from './support/view';

/** Clients of each MTA that send one message after the other. */
const CLIENTS = 2;
/** Accepted messages of all of them in each part of a test. */
const MESSAGES = 8;

/** A field of a rule that finds something about each of these messages: whoever lacks it has passed unfiltered. */
const MARK = 'X-Guard: helo_numeric; HELO "127.0.3.1" is a number';
const MAIL = { at: clients.stranger };

let hosts: GuardHosts;

beforeAll(async () => {
  hosts = await GuardHosts.start({
    clients: { trusted_relay: clients.relay },
    helo_numeric: { mode: 'tag' },
    honeypot: { mode: 'reject', recipients: 'trap@dest.test' },
    reputation: { mode: 'reject', min_confidence: '50' },
    // Each for clients of its own: the others are judged by no rule of another test.
    greylist: { mode: 'defer', delay: '0', clients: 'relay' },
    rate_limit: { mode: 'defer', clients: 'dynamic', client_hour: '4' },
  });
});
afterAll(() => hosts?.stop());
beforeEach(() => hosts.use('mx1', 'mx2'));

/** Every message has been delivered once, and a guard has seen it. */
async function expectDeliveredOnce(messages: readonly Accepted[]): Promise<void> {
  for (const kind of kinds) await hosts.mtas.queueEmpty(kind);
  const delivered = hosts.mtas.sink.messages.map((message) => ({
    id: /^Message-Id: <([^@]*)@/m.exec(message.text)?.[1],
    marks: headersOf(message).filter((field) => field === MARK).length,
  }));
  const expected = messages.map(({ id }) => ({ id, count: 1, marks: [1] }));
  const found = messages.map(({ id }) => {
    const copies = delivered.filter((message) => message.id === id);
    return { id, count: copies.length, marks: copies.map(({ marks }) => marks) };
  });
  expect(found).toStrictEqual(expected);
}

/** Runs steps while mail flows; between them, and at the end, some messages are accepted. Returns all of them. */
async function whileMailFlows(...steps: readonly (() => Promise<unknown>)[]): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  let over = false;
  const flow = kinds.flatMap((kind) =>
    Array.from({ length: CLIENTS }, async () => {
      while (!over) accepted.push(await hosts.deliver(kind, MAIL));
    }),
  );
  const some = () => {
    const enough = accepted.length + MESSAGES;
    const reached = until(`${enough} messages`, () => accepted.length >= enough, 3 * TIMEOUT);
    return Promise.race([reached, Promise.all(flow)]); // which rejects if a client fails
  };
  try {
    await some();
    for (const step of steps) {
      await step();
      await some();
    }
  } finally {
    over = true;
    await Promise.allSettled(flow);
  }
  await Promise.all(flow);
  return accepted;
}

test('a guard that is killed while mail flows, and started again, loses and lets through nothing', async () => {
  const sent = await whileMailFlows(
    () => hosts.killGuard('mx1'),
    () => hosts.startGuard('mx1'),
    () => until('mail at mx1', () => /TAG message/.test(hosts.log('mx1')), 3 * TIMEOUT),
  );
  await expectDeliveredOnce(sent);
});

describe.each(kinds)('%s', (kind: Kind) => {
  test('a message in the hands of a guard that is killed is deferred, and then delivered by the other', async () => {
    await hosts.use('mx1');
    const client = await hosts.open(kind, MAIL.at);
    try {
      await client.command('EHLO 127.0.3.1');
      await client.command('MAIL FROM:<joe@stranger.example>');
      expect((await client.command('RCPT TO:<rcpt@dest.test>')).code).toBe(250);
      await hosts.killGuard('mx1');
      await hosts.use('mx2');
      const { code, text } = await client.data('From: joe@stranger.example\r\n\r\nlost\r\n');
      expectThat(code, text).toBeGreaterThanOrEqual(400);
      expectThat(code, text).toBeLessThan(500);
    } finally {
      client.destroy();
    }
    const again = await hosts.deliver(kind, MAIL);
    expect(again.deferrals).toStrictEqual([]);
    await expectDeliveredOnce([again]);
    await hosts.use('mx1', 'mx2');
    await hosts.startGuard('mx1');
  });

  test('mail is deferred while no guard is there', async () => {
    await Promise.all([hosts.killGuard('mx1'), hosts.killGuard('mx2')]);
    const id = nextId();
    expect(await hosts.attempt(kind, MAIL, id)).toMatch(/^4\d\d /);
    await Promise.all([hosts.startGuard('mx1'), hosts.startGuard('mx2')]);
    await expectDeliveredOnce([await hosts.deliver(kind, MAIL, id)]);
  });

  test('an upgrade defers nothing', async () => {
    const sent = await whileMailFlows(
      () => hosts.upgradeGuard('mx1'),
      () => hosts.upgradeGuard('mx2'),
    );
    expect(sent.flatMap(({ deferrals }) => deferrals)).toStrictEqual([]);
    await expectDeliveredOnce(sent);
  });

  test('what one host has greylisted passes on the other', async () => {
    const mail = { at: clients.relay, to: `grey.${kind}@dest.test` };
    await hosts.use('mx1');
    expect(await hosts.attempt(kind, mail)).toMatch(/^451 4\.7\.1 .*Greylisted/);
    await hosts.use('mx2');
    expect(await hosts.attempt(kind, mail)).toMatch(/^250 /);
  });
});

describe('the state', () => {
  const on = async (name: HostName, attempt: () => Promise<string>) => {
    await hosts.use(name);
    return attempt();
  };

  test('spam on one host counts against its sender on the other', async () => {
    const from = 'ann@pass.example';
    const send = (to: string) => hosts.attempt('postfix', { ...MAIL, from, to });
    // Four of them are a confidence of 51.
    for (let sent = 0; sent < 4; sent++)
      expect(await on('mx1', () => send('trap@dest.test'))).toMatch(/^550 5\.1\.1/);
    expect(await on('mx2', () => send('rcpt@dest.test'))).toMatch(/^550 5\.7\.1 .*Most of the recent mail/s);
  });

  test('a limit is one for both hosts', async () => {
    const send = () => hosts.attempt('postfix', { at: clients.dynamic });
    for (const name of ['mx1', 'mx2', 'mx1', 'mx2'] as const) expect(await on(name, send)).toMatch(/^250 /);
    for (const name of Object.keys(HOSTS) as HostName[])
      expect(await on(name, send)).toMatch(/^451 4\.7\.1 .*Too many recipients in one hour/s);
  });

  test('without Redis, mail is accepted, by a guard that starts then as well; with it, rules work again', async () => {
    const grey = { at: clients.relay };
    await hosts.redis.stop();
    await hosts.killGuard('mx2');
    await hosts.startGuard('mx2');
    for (const name of Object.keys(HOSTS) as HostName[]) {
      expect(await on(name, () => hosts.attempt('postfix', { ...grey, to: 'lost@dest.test' }))).toMatch(
        /^250 /,
      );
      expect(hosts.log(name)).toMatch(/GREYLIST does not work: .*Redis/);
    }
    await hosts.redis.start();
    expect(await on('mx1', () => hosts.attempt('postfix', { ...grey, to: 'found@dest.test' }))).toMatch(
      /^451 /,
    );
    expect(await on('mx2', () => hosts.attempt('postfix', { ...grey, to: 'found@dest.test' }))).toMatch(
      /^250 /,
    );
  });
});
