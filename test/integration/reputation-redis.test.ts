/** tsmilter/reputation in a real Redis. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { MilterError, RedisReputationStore, type RedisStoreOptions, Reputation } from 'tsmilter/reputation';
import { RedisServer } from '../../tools/redis';
import { Clock } from '../support/clock';
import { errorWith } from '../support/expect';
import { exported, testReputationStore } from '../support/reputation-table';
import { runProcesses } from '../support/run-processes';

let server: RedisServer;
let prefixes = 0;

beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** A store with a prefix of its own, so that the tests do not see each other's keys. */
const storeIn = (at: RedisServer, options: RedisStoreOptions = {}) =>
  new RedisReputationStore({
    client: { socket: { path: at.path, tls: false } },
    prefix: `test${prefixes++}*[x]?:`,
    timeout: 20_000,
    ...options,
  });

const HOUR = 3_600_000;

describe('a reputation in Redis', () => {
  testReputationStore(() => storeIn(server));

  it('is shared by processes of several hosts', async () => {
    await runProcesses(
      2,
      `
      const { Reputation, RedisReputationStore } = require('tsmilter/reputation');
      const socket = { path: ${JSON.stringify(server.path)}, tls: false };
      const store = new RedisReputationStore({ client: { socket }, prefix: 'shared:', timeout: 20000 });
      const reputation = new Reputation(store, { host: 'host' + process.pid, whenStoreFails: 'throw' });
      (async () => {
        for (let i = 0; i < 150; i++) await reputation.record('example.com', 'pass', i % 3 ? 'ham' : 'spam');
        await reputation.close();
      })();
    `,
    );
    await using reputation = new Reputation(storeIn(server, { prefix: 'shared:' }));
    const { score, messages } = await reputation.score('example.com', 'pass');
    expect(messages).toBe(300);
    expect(score).toBeCloseTo((100 * (200 - 100)) / 300, 9);
    expect(await exported(reputation)).toHaveLength(2);
  });

  it('lets its keys expire after the lifetime of the newest record', async () => {
    const prefix = 'expiring:';
    const clock = new Clock();
    await using reputation = new Reputation(storeIn(server, { prefix }), {
      now: clock.now,
      lifetime: 10 * HOUR,
    });
    const client = await createClient({ socket: { path: server.path, tls: false } }).connect();
    const left = async (id: string) => (await client.pTTL(`${prefix}${id}`)) / HOUR;
    await reputation.merge([
      { id: 'old.example:pass', host: 'b', changed: clock.time - 8 * HOUR, outcomes: 'Dzli' },
      { id: 'old.example:pass', host: 'c', changed: clock.time - 9 * HOUR, outcomes: 'Dzli' },
    ]);
    expect(await left('old.example:pass')).toBeCloseTo(2, 1);
    await reputation.record('old.example', 'pass', 'ham');
    expect(await left('old.example:pass')).toBeCloseTo(10, 1);
    await client.close();
  });
});

describe('with a Redis that fails', () => {
  it('a filter goes on: nothing is known, and the failure is reported at once after the first timeout', async () => {
    await using own = await RedisServer.start();
    const failures: MilterError[] = [];
    const options = { onFailure: (error: MilterError) => failures.push(error) };
    await using reputation = new Reputation(storeIn(own, { timeout: 200, retryAfter: 60_000 }), options);
    expect(await reputation.record('example.com', 'pass', 'ham')).toBe(true);
    own.freeze();
    const { failure, ...rest } = await reputation.score('example.com', 'pass');
    expect(rest).toStrictEqual({ score: 0, confidence: 0, messages: 0 });
    expect(failure).toEqual(
      errorWith({ code: 'ERR_MILTER_STORE', message: /^reputation in Redis: no reply/ }, MilterError),
    );
    const begin = performance.now();
    for (let i = 0; i < 100; i++) expect(await reputation.record('example.com', 'pass', 'ham')).toBe(false);
    // Far less than the 20 s that a hundred timeouts would take.
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(failures).toHaveLength(101);
    own.thaw();
  });

  it('export, merge and clean throw', async () => {
    const own = await RedisServer.start();
    await using reputation = new Reputation(storeIn(own));
    await own[Symbol.asyncDispose]();
    const failed = errorWith({ code: 'ERR_MILTER_STORE' }, MilterError);
    await expect(exported(reputation)).rejects.toThrow(failed);
    await expect(reputation.clean()).rejects.toThrow(failed);
    const entry = { id: 'example.com:pass', host: 'b', changed: Date.now(), outcomes: 'Dzli' };
    await expect(reputation.merge([entry])).rejects.toThrow(failed);
  });
});
