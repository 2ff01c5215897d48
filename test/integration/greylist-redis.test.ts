/** tsmilter/greylist in a real Redis. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { Greylist, MilterError, RedisStore, type RedisStoreOptions } from 'tsmilter/greylist';
import { freePort } from '../../tools/free-ports';
import { RedisServer } from '../../tools/redis';
import { until } from '../../tools/wait';
import { Clock } from '../support/clock';
import { errorWith, expectThat } from '../support/expect';
import { testStore } from '../support/greylist-table';

let server: RedisServer;
let port = 0;
let prefixes = 0;

beforeAll(async () => {
  port = await freePort();
  server = await RedisServer.start(port);
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** A store with a prefix of its own, so that the tests do not see each other's keys. */
const storeIn = (at: RedisServer, options: RedisStoreOptions = {}) =>
  new RedisStore({
    client: { socket: { path: at.path, tls: false } },
    prefix: `test${prefixes++}*[x]?:`,
    timeout: 20_000,
    ...options,
  });

/** A client of the test's own; that its server goes away first is no matter. */
const newClient = (at = server) =>
  createClient({ socket: { path: at.path, tls: false, reconnectStrategy: false } }).on('error', () => {});

const storeError = (message: RegExp) => errorWith({ code: 'ERR_MILTER_STORE', message }, MilterError);

describe('a greylist in Redis', () => {
  testStore(() => storeIn(server));

  it('is reached by a URL', async () => {
    const store = new RedisStore({ url: `redis://127.0.0.1:${port}/3`, prefix: 'url:', timeout: 20_000 });
    await using greylist = new Greylist(store);
    expect(await greylist.check('192.0.2.1', 'a', 'b')).toBe(0);
    const client = await newClient().connect();
    await client.select(3);
    expect(await client.keys('url:*')).toHaveLength(1);
    await client.close();
  });

  it('is shared by several filters, and counts correctly', async () => {
    const clock = new Clock();
    const made = Array.from({ length: 4 }, () => storeIn(server, { prefix: 'shared:' }));
    const greylists = made.map((store) => new Greylist(store, { now: clock.now }));
    const [first] = greylists as [Greylist];
    expect(await first.check('192.0.2.1', 'a', 'b')).toBe(0);
    clock.time += 3_600_000;
    const checks = greylists.flatMap((greylist) =>
      Array.from({ length: 50 }, () => greylist.check('192.0.2.1', 'a', 'b')),
    );
    const answers = await Promise.all(checks);
    expect(answers.sort((a, b) => a - b)).toStrictEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    for (const greylist of greylists) await greylist.close();
  });

  it('lets its keys expire: first after the window, later after the lifetime', async () => {
    const prefix = 'expiring:';
    const clock = new Clock();
    const options = { delay: 0, grace: 0, window: 100_000, lifetime: 900_000, now: clock.now };
    await using greylist = new Greylist(storeIn(server, { prefix }), options);
    const client = await newClient().connect();
    const left = async () => {
      const [key = ''] = await client.keys(`${prefix}*`);
      return client.pTTL(key);
    };
    await greylist.check('192.0.2.1', 'a', 'b');
    const window = await left();
    expect(window).toBeGreaterThan(50_000);
    expect(window).toBeLessThanOrEqual(100_000);
    await greylist.check('192.0.2.1', 'a', 'b');
    const lifetime = await left();
    expect(lifetime).toBeGreaterThan(850_000);
    expect(lifetime).toBeLessThanOrEqual(900_000);
    clock.time += 900_000;
    expect(await greylist.check('192.0.2.1', 'a', 'b')).toBe(0);
    const again = await left();
    expect(again).toBeGreaterThan(50_000);
    expect(again).toBeLessThanOrEqual(100_000);
    await client.close();
  });

  it('forgets keys that have expired in Redis', async () => {
    const options = { delay: 0, grace: 0, window: 1, lifetime: 1 };
    await using greylist = new Greylist(storeIn(server, { prefix: 'gone:' }), options);
    await greylist.check('192.0.2.1', 'a', 'b');
    const client = await newClient().connect();
    const deadline = Date.now() + 20_000;
    while ((await client.keys('gone:*')).length > 0)
      expectThat(Date.now(), 'the key is still there').toBeLessThan(deadline);
    await client.close();
    expect(await greylist.clean()).toBe(0);
  });

  it('has keys of a fixed length that do not contain the addresses', async () => {
    const prefix = 'short:';
    await using greylist = new Greylist(storeIn(server, { prefix }));
    await greylist.check('192.0.2.1', 'x'.repeat(100_000), 'gr\udcfc');
    await greylist.check('192.0.2.1', '', '');
    const client = await newClient().connect();
    const keys = await client.keys(`${prefix}*`);
    expect(keys.map((key) => key.length)).toStrictEqual([49, 49]);
    await client.close();
  });

  it('does not delete other keys in clean, even if its prefix looks like a pattern', async () => {
    const clock = new Clock();
    const old = () => new Greylist(storeIn(server, { prefix: '[ab]*:' }), { now: clock.now });
    const other = new Greylist(storeIn(server, { prefix: 'a*:' }), { now: clock.now });
    await using greylist = old();
    await other.check('192.0.2.1', 'a', 'b');
    await greylist.check('192.0.2.1', 'a', 'b');
    clock.time += 90 * 86_400_000;
    expect(await greylist.clean()).toBe(1);
    expect(await other.clean()).toBe(1);
    await other.close();
  });
});

describe('with a Redis that fails', () => {
  const check = (greylist: Greylist) => greylist.check('192.0.2.1', 'a', 'b');

  it('nothing listens: an immediate error; a later check succeeds when Redis has started', async () => {
    await using own = await RedisServer.start();
    await using greylist = new Greylist(storeIn(own));
    expect(await check(greylist)).toBe(0);
    await own.stop();
    await expect(check(greylist)).rejects.toThrow(storeError(/^greylist in Redis: /));
    await expect(check(greylist)).rejects.toThrow(storeError(/ENOENT|ECONNREFUSED/));
    await expect(greylist.clean()).rejects.toThrow(storeError(/ENOENT|ECONNREFUSED/));
    await own.start();
    expect(await check(greylist)).toBe(0);
  });

  it('it hangs: an error after the timeout; a later check succeeds when Redis works again', async () => {
    await using own = await RedisServer.start();
    const store = storeIn(own, { timeout: 300 });
    const patient = storeIn(own, { prefix: 'patient:' });
    await using greylist = new Greylist(store);
    await using second = new Greylist(patient);
    expect(await check(second)).toBe(0);
    own.freeze();
    const started = Date.now();
    const failed = storeError(/no reply within 300 ms|timeout/i);
    await Promise.all(Array.from({ length: 20 }, () => expect(check(greylist)).rejects.toThrow(failed)));
    const took = Date.now() - started;
    expect(took).toBeGreaterThanOrEqual(290);
    await expect(check(greylist)).rejects.toThrow(failed);
    own.thaw();
    // its connection was left as it is: the answer comes late, within its own time
    expect(typeof (await check(second))).toBe('number');
    const again = new Greylist(storeIn(own));
    expect(await check(again)).toBe(0);
    await again.close();
  });

  it('it hangs: one check waits, others fail at once until Redis is tried again', async () => {
    await using own = await RedisServer.start();
    await using greylist = new Greylist(storeIn(own, { timeout: 200, retryAfter: 60_000 }));
    await using trying = new Greylist(storeIn(own, { timeout: 200, retryAfter: 1 }));
    expect(await check(greylist)).toBe(0);
    own.freeze();
    await expect(check(greylist)).rejects.toThrow(storeError(/no reply within 200 ms$/));
    const begin = performance.now();
    for (let recipient = 0; recipient < 100; recipient++) {
      await expect(greylist.check('192.0.2.1', 'a', `${recipient}`)).rejects.toThrow(
        storeError(/no reply within 200 ms; not asked again for the next \d+ ms/),
      );
    }
    // Far less than the 20 s that a hundred checks would have waited.
    expect(performance.now() - begin).toBeLessThan(10_000);
    await expect(check(trying)).rejects.toThrow(storeError(/no reply|timeout/i));
    own.thaw();
    await until('Redis is tried again', () =>
      check(trying).then(
        () => true,
        () => false,
      ),
    );
    await expect(check(greylist)).rejects.toThrow(storeError(/not asked again/));
  });

  it('another program listens: an error after the timeout', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const sockets = new Set<import('node:net').Socket>();
    silent.on('connection', (socket) => sockets.add(socket.on('error', () => {})));
    const { port: taken } = silent.address() as import('node:net').AddressInfo;
    try {
      const store = new RedisStore({ url: `redis://user:secret@127.0.0.1:${taken}`, timeout: 200 });
      await using greylist = new Greylist(store);
      await expect(check(greylist)).rejects.toThrow(
        storeError(/^greylist in Redis at redis:\/\/127\.0\.0\.1:\d+: no reply/),
      );
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
  });

  it('it refuses a command: an error, and the connection is kept', async () => {
    await using own = await RedisServer.start();
    await using greylist = new Greylist(storeIn(own, { prefix: 'full:' }));
    expect(await check(greylist)).toBe(0);
    const client = await newClient(own).connect();
    const connections = async () => (await client.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n');
    const idsBefore = (await connections()).map((line) => line.split(' ')[0]);
    await client.configSet('maxmemory', '1');
    await expect(greylist.check('192.0.2.2', 'a', 'b')).rejects.toThrow(storeError(/OOM/));
    await client.configSet('maxmemory', '0');
    expect(await greylist.check('192.0.2.2', 'a', 'b')).toBe(0);
    expect((await connections()).map((line) => line.split(' ')[0])).toStrictEqual(idsBefore);
    // one that only reads now is left for whoever its name leads to
    await client.sendCommand(['REPLICAOF', '127.0.0.1', '1']);
    await expect(greylist.check('192.0.2.3', 'a', 'b')).rejects.toThrow(storeError(/READONLY/));
    await client.sendCommand(['REPLICAOF', 'NO', 'ONE']);
    expect(await greylist.check('192.0.2.3', 'a', 'b')).toBe(0);
    expect((await connections()).map((line) => line.split(' ')[0])).not.toStrictEqual(idsBefore);
    await client.close();
  });

  it('it requires a password: an error', async () => {
    await using own = await RedisServer.start();
    const client = await newClient(own).connect();
    await client.configSet('requirepass', 'secret');
    await client.close();
    await using without = new Greylist(storeIn(own));
    await expect(check(without)).rejects.toThrow(storeError(/NOAUTH/));
    const socket = { path: own.path, tls: false };
    await using greylist = new Greylist(storeIn(own, { client: { socket, password: 'secret' } }));
    expect(await check(greylist)).toBe(0);
  });

  it('a closed store is an error; closing twice, unused or while Redis hangs is not', async () => {
    await using own = await RedisServer.start();
    const used = new Greylist(storeIn(own));
    await check(used);
    const pending = check(used);
    await used.close();
    expect(typeof (await pending)).toBe('number');
    await used.close();
    await expect(check(used)).rejects.toThrow(storeError(/the store is closed/));
    await new Greylist(storeIn(own)).close();
    const hanging = new Greylist(storeIn(own, { timeout: 200 }));
    await check(hanging).catch(() => {}); // whether in time or not
    own.freeze();
    const late = expect(check(hanging)).rejects.toThrow(storeError(/./));
    await hanging.close();
    await late;
  });
});

describe('arguments of RedisStore', () => {
  const bad = (options: RedisStoreOptions, message: RegExp) =>
    expect(() => new RedisStore(options)).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message }, MilterError),
    );

  it('are checked by the constructor', () => {
    bad({ url: 'redis:/nonsense:x@' }, /RedisStore: url or client/);
    bad({ url: 5 as unknown as string }, /RedisStore: url must be a string/);
    bad({ prefix: null as unknown as string }, /RedisStore: prefix/);
    bad({ timeout: 0 }, /RedisStore: timeout/);
    bad({ retryAfter: -1 }, /RedisStore: retryAfter/);
  });
});
