/** tsmilter/ratelimit in an SQLite file. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import Sqlite from 'better-sqlite3';
import {
  type Counter,
  type LimitedBy,
  MilterError,
  RateLimiter,
  type RateLimiterOptions,
  type RateLimitStore,
  SqliteRateLimitStore,
} from 'tsmilter/ratelimit';
import { Clock } from '../support/clock';
import { errorWith } from '../support/expect';
import { allowedInProcesses, HOUR, testRateLimitStore } from '../support/ratelimit-table';

let dir = '';
let files = 0;
const newFile = () => join(dir, `${files++}.db`);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ratelimit-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));
afterEach(() => {
  jest.restoreAllMocks();
});

/** The clock of the store, from now on. */
function setClock(): Clock {
  const clock = new Clock();
  jest.spyOn(Date, 'now').mockImplementation(clock.now);
  return clock;
}

const isError = (code: string, message: RegExp) => errorWith({ code, message }, MilterError);
const storeError = (message: RegExp) => isError('ERR_MILTER_STORE', message);
const limits = { account: { hour: { points: 2, duration: HOUR } } };

describe('rate limits in SQLite', () => {
  testRateLimitStore(() => {
    const clock = setClock();
    return {
      store: new SqliteRateLimitStore(':memory:'),
      endHour: async () => {
        clock.time += HOUR;
      },
    };
  });

  it('are the default, and last over a restart', async () => {
    const file = newFile();
    for (const allowed of [true, true, false]) {
      await using limiter = new RateLimiter(file, { limits });
      expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed });
    }
  });

  it('end their windows at the moment', async () => {
    const clock = setClock();
    await using limiter = new RateLimiter(':memory:', { limits });
    expect(await limiter.consume('account', 'ann', 2)).toMatchObject({ msBeforeNext: HOUR });
    clock.time += HOUR - 1;
    expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: false, msBeforeNext: 1 });
    clock.time += 1;
    expect(await limiter.consume('account', 'ann', 2)).toMatchObject({ allowed: true, msBeforeNext: HOUR });
    expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: false });
  });

  it('are shared by processes, from the first moment of the file', async () => {
    const file = newFile();
    const store = `new SqliteRateLimitStore(${JSON.stringify(file)}, { timeout: 30000 })`;
    const allowed = await allowedInProcesses(3, 100, store);
    // A process is refused while another one's refused points have not been given back.
    expect(allowed).toBeGreaterThan(90);
    expect(allowed).toBeLessThanOrEqual(100);
    const shared = { account: { hour: { points: 100, duration: HOUR } } };
    await using limiter = new RateLimiter(file, { limits: shared });
    for (let left = 100 - allowed; left > 0; left--) {
      expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: true, remaining: left - 1 });
    }
    expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: false });
  });

  const rowsOf = (file: string) => {
    const database = new Sqlite(file, { readonly: true });
    const keys = database.prepare('SELECT key FROM counters').pluck().all() as string[];
    database.close();
    return keys;
  };

  it('are kept by digests of the same length', async () => {
    const file = newFile();
    await using limiter = new RateLimiter(file, { limits });
    for (const name of ['ann', 'x'.repeat(100_000), '']) await limiter.consume('account', name);
    for (const key of rowsOf(file)) expect(key).toMatch(/^account:hour:[\w-]{43}$/);
  });

  it('make room at maxEntries: made-up names do not displace those who send much', async () => {
    const file = newFile();
    const clock = setClock();
    const sender = { hour: { points: 5, duration: HOUR }, day: { points: 50, duration: 24 * HOUR } };
    const store = new SqliteRateLimitStore(file, { maxEntries: 100 });
    await using limiter = new RateLimiter(store, { limits: { sender } });
    expect(await limiter.consume('sender', 'much@example.com', 5)).toMatchObject({ allowed: true });
    for (let i = 0; i < 1000; i++) {
      clock.time++;
      await limiter.consume('sender', `made-up${i}@example.com`);
      // The newest ones are kept: in a full file, too, five points of an hour are no more than five.
      if (i % 100 === 99) {
        for (let n = 0; n < 4; n++) await limiter.consume('sender', `made-up${i}@example.com`);
        expect(await limiter.consume('sender', `made-up${i}@example.com`)).toMatchObject({ allowed: false });
      }
    }
    expect(rowsOf(file).length).toBeLessThanOrEqual(101);
    expect(await limiter.consume('sender', 'much@example.com')).toMatchObject({ allowed: false });
  });

  it('remove counters that have ended', async () => {
    const file = newFile();
    const clock = setClock();
    await using limiter = new RateLimiter(file, { limits });
    for (let i = 0; i < 50; i++) await limiter.consume('account', `user${i}`);
    clock.time += HOUR;
    for (let i = 0; i < 25; i++) await limiter.consume('account', 'ann');
    expect(rowsOf(file)).toHaveLength(1);
  });

  it('take no points back from a window that is about to end, as they would be added to the next', async () => {
    const clock = setClock();
    await using limiter = new RateLimiter(':memory:', { limits });
    await limiter.consume('account', 'ann', 2);
    clock.time += HOUR - 5000;
    expect(await limiter.consume('account', 'ann', 2)).toMatchObject({ allowed: false });
    clock.time += 5000;
    expect(await limiter.consume('account', 'ann', 2)).toMatchObject({ allowed: true, remaining: 0 });
    expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: false });
  });
});

describe('a store that fails', () => {
  const locked = async (options: Partial<RateLimiterOptions>) => {
    const file = newFile();
    const limiter = new RateLimiter(new SqliteRateLimitStore(file, { timeout: 20 }), { limits, ...options });
    const database = new Sqlite(file);
    database.exec('BEGIN EXCLUSIVE');
    return {
      limiter,
      [Symbol.asyncDispose]: async () => {
        database.close();
        await limiter.close();
      },
    };
  };

  it.each([
    ['allow', { allowed: true, remaining: Infinity }],
    ['refuse', { allowed: false, remaining: 0 }],
  ] as const)('%s: the result has the failure, which is reported', async (whenStoreFails, expected) => {
    const failures: MilterError[] = [];
    await using held = await locked({ whenStoreFails, onFailure: (error) => failures.push(error) });
    expect(await held.limiter.consume('account', 'ann')).toStrictEqual({
      ...expected,
      limit: undefined,
      msBeforeNext: 0,
      failure: storeError(/^rate limits .*locked/),
    });
    expect(failures).toHaveLength(1);
    await expect(held.limiter.reset('account', 'ann')).rejects.toThrow(storeError(/locked/));
  });

  it('allows by default, with a warning', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    await using held = await locked({});
    for (let i = 0; i < 3; i++)
      expect(await held.limiter.consume('account', 'ann')).toMatchObject({ allowed: true });
    expect(warn.mock.calls).toEqual([[expect.stringMatching(/locked/), 'MilterWarning']]);
  });

  it('throws if that is wanted', async () => {
    await using held = await locked({ whenStoreFails: 'throw' });
    await expect(held.limiter.consume('account', 'ann')).rejects.toThrow(storeError(/locked/));
    await held.limiter.close();
    await expect(held.limiter.consume('account', 'ann')).rejects.toThrow(storeError(/not open/));
  });

  it('is an error when the file cannot be used', () => {
    expect(() => new RateLimiter(join(dir, 'missing', 'x.db'), { limits })).toThrow(storeError(/directory/));
  });

  it('hides no other error', async () => {
    const counter = { penalty: () => Promise.reject(new TypeError('a mistake')) } as unknown as Counter;
    const store: RateLimitStore = { counter: () => counter, close: async () => {} };
    await expect(new RateLimiter(store, { limits }).consume('account', 'ann')).rejects.toThrow(
      new TypeError('a mistake'),
    );
  });
});

describe('arguments', () => {
  const bad = (message: RegExp) => isError('ERR_MILTER_BAD_ARGUMENT', message);
  const one = { points: 1, duration: HOUR };

  it.each([
    [{}, /limits must be an object/],
    [{ limits: { accounts: {} } }, /did you mean account/],
    [{ limits: { account: 1 } }, /account must be an object/],
    [{ limits: { account: { 'a hour': one } } }, /account.a hour: the name of a limit/],
    [{ limits: { account: { hour: 5 } } }, /account.hour: the options must be an object/],
    [{ limits: { account: { hour: { points: 0, duration: HOUR } } } }, /account.hour.points/],
    [
      { limits: { account: { hour: { points: 1, duration: 1500 } } } },
      /account.hour.duration in seconds .*1.5/,
    ],
    [{ limits: { account: { hour: { ...one, per: 1 } } } }, /has no option per/],
    [{ limits, ipv4Prefix: 0 }, /ipv4Prefix/],
    [{ limits, ipv6Prefix: 129 }, /ipv6Prefix/],
    [{ limits, whenStoreFails: 'accept' }, /whenStoreFails must be/],
    [{ limits, onFailure: 1 }, /onFailure/],
  ])('of RateLimiter: %j', (options, message) => {
    expect(() => new RateLimiter(':memory:', options as unknown as RateLimiterOptions)).toThrow(bad(message));
  });

  it('of SqliteRateLimitStore', () => {
    expect(() => new SqliteRateLimitStore('')).toThrow(bad(/file must not be empty/));
    expect(() => new SqliteRateLimitStore(':memory:', { timeout: -1 })).toThrow(bad(/timeout/));
    expect(() => new SqliteRateLimitStore(':memory:', { maxEntries: 0 })).toThrow(bad(/maxEntries/));
  });

  it('of consume and reset', async () => {
    await using limiter = new RateLimiter(':memory:', { limits });
    await expect(limiter.consume('user' as LimitedBy, 'ann')).rejects.toThrow(
      bad(/must be one of client, account/),
    );
    await expect(limiter.reset('__proto__' as LimitedBy, 'ann')).rejects.toThrow(bad(/must be one of/));
    await expect(limiter.consume('account', null as unknown as string)).rejects.toThrow(bad(/consume: name/));
    for (const points of [0, -1, 1.5, NaN]) {
      await expect(limiter.consume('account', 'ann', points)).rejects.toThrow(bad(/consume: points/));
    }
  });
});
