/** tsmilter/ratelimit in a real Redis. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { MilterError, RateLimiter, RedisRateLimitStore, type RedisStoreOptions } from 'tsmilter/ratelimit';
import { RedisServer } from '../../tools/redis';
import { until } from '../../tools/wait';
import { errorWith } from '../support/expect';
import { allowedInProcesses, HOUR, testRateLimitStore } from '../support/ratelimit-table';

let server: RedisServer;
let client: Awaited<ReturnType<typeof connect>>;
let prefixes = 0;

const connect = () => createClient({ socket: { path: server.path, tls: false } }).connect();

beforeAll(async () => {
  server = await RedisServer.start();
  client = await connect();
});
afterAll(async () => {
  await client?.close();
  await server?.[Symbol.asyncDispose]();
});

const storeIn = (at: RedisServer, options: RedisStoreOptions = {}) =>
  new RedisRateLimitStore({ client: { socket: { path: at.path, tls: false } }, timeout: 20_000, ...options });

const limits = { account: { hour: { points: 2, duration: HOUR } } };

describe('rate limits in Redis', () => {
  testRateLimitStore(() => {
    const prefix = `test${prefixes++}:`;
    return {
      store: storeIn(server, { prefix }),
      endHour: async () => {
        const keys = await client.keys(`${prefix}*:hour:*`);
        for (const key of keys) await client.pExpire(key, 1);
        await until('the keys have expired', async () => (await client.exists(keys)) === 0);
      },
    };
  });

  it('have keys of the same length, which expire with the window', async () => {
    await using limiter = new RateLimiter(storeIn(server, { prefix: 'keys:' }), { limits });
    for (const name of ['ann', 'x'.repeat(100_000), '']) await limiter.consume('account', name);
    const keys = await client.keys('keys:*');
    expect(keys).toHaveLength(3);
    for (const key of keys) {
      expect(key).toMatch(/^keys:account:hour:[\w-]{43}$/);
      expect((await client.pTTL(key)) / HOUR).toBeCloseTo(1, 1);
    }
  });

  it('are shared by processes', async () => {
    const client = { socket: { path: server.path, tls: false } };
    const options = JSON.stringify({ client, prefix: 'shared:', timeout: 20_000 });
    const allowed = await allowedInProcesses(2, 50, `new RedisRateLimitStore(${options})`);
    expect(allowed).toBeGreaterThan(45);
    expect(allowed).toBeLessThanOrEqual(50);
  });
});

describe('with a Redis that fails', () => {
  it('mail is allowed, and further failures are immediate', async () => {
    await using own = await RedisServer.start();
    const failures: MilterError[] = [];
    const store = storeIn(own, { timeout: 200, retryAfter: 60_000 });
    await using limiter = new RateLimiter(store, { limits, onFailure: (error) => failures.push(error) });
    expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: true, remaining: 1 });
    own.freeze();
    expect(await limiter.consume('account', 'ann')).toStrictEqual({
      allowed: true,
      limit: undefined,
      remaining: Infinity,
      msBeforeNext: 0,
      failure: errorWith({ code: 'ERR_MILTER_STORE', message: /^ratelimit in Redis: no reply/ }, MilterError),
    });
    const begin = performance.now();
    for (let i = 0; i < 100; i++)
      expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: true });
    // Far less than the 20 s that a hundred timeouts would take.
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(failures).toHaveLength(101);
    own.thaw();
  });

  it('a later attempt connects again', async () => {
    await using own = await RedisServer.start();
    await using limiter = new RateLimiter(storeIn(own), { limits, whenStoreFails: 'throw' });
    expect(await limiter.consume('account', 'ann')).toMatchObject({ remaining: 1 });
    await own.stop();
    await expect(limiter.consume('account', 'ann')).rejects.toThrow(errorWith({ code: 'ERR_MILTER_STORE' }));
    await expect(limiter.reset('account', 'ann')).rejects.toThrow(errorWith({ code: 'ERR_MILTER_STORE' }));
    await own.start();
    expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: true, remaining: 1 });
  });
});
