/** What every store of tsmilter/ratelimit must do; the tests of each store run the same table. */
import { expect, it } from '@jest/globals';
import {
  type LimitedBy,
  RateLimiter,
  type RateLimiterOptions,
  type RateLimitStore,
} from 'tsmilter/ratelimit';
import { expectThat } from './expect';
import { Random } from './random';
import { runProcesses } from './run-processes';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** A new, empty store, which is closed with the limiter; and what ends the windows of an hour in it. */
export interface TestedStore {
  readonly store: RateLimitStore;
  endHour(): Promise<void>;
}

/**
 * How much several processes that share a store are allowed together, of 60 points that each of them asks for.
 * @param points the limit of an hour
 * @param store an expression that makes a process's store, with the exports of tsmilter/ratelimit
 */
export async function allowedInProcesses(processes: number, points: number, store: string): Promise<number> {
  const limits = { account: { hour: { points, duration: HOUR }, day: { points: 400, duration: DAY } } };
  const program = `
    const { RateLimiter, RedisRateLimitStore, SqliteRateLimitStore } = require('tsmilter/ratelimit');
    const limiter = new RateLimiter(${store}, { limits: ${JSON.stringify(limits)}, whenStoreFails: 'throw' });
    (async () => {
      let count = 0;
      for (let i = 0; i < 60; i++) if ((await limiter.consume('account', 'ann')).allowed) count++;
      await limiter.close();
      console.log(count);
    })();
  `;
  const allowed = await runProcesses(processes, program);
  return allowed.reduce((sum, count) => sum + Number(count), 0);
}

export function testRateLimitStore(make: () => TestedStore): void {
  const withLimiter = async (
    limits: RateLimiterOptions['limits'],
    use: (limiter: RateLimiter, endHour: () => Promise<void>) => Promise<void>,
  ) => {
    const { store, endHour } = make();
    await using limiter = new RateLimiter(store, { limits, whenStoreFails: 'throw' });
    await use(limiter, endHour);
  };
  const hour = (points: number) => ({ hour: { points, duration: HOUR } });
  const hourAndDay = (perHour: number, perDay: number) => ({
    hour: { points: perHour, duration: HOUR },
    day: { points: perDay, duration: DAY },
  });

  it('allows as many points as the limit has, then refuses until the window has ended', () =>
    withLimiter({ account: hour(3) }, async (limiter, endHour) => {
      for (let round = 0; round < 2; round++) {
        for (const remaining of [2, 1, 0]) {
          const result = await limiter.consume('account', 'ann');
          expect(result).toMatchObject({ allowed: true, limit: 'hour', remaining });
        }
        for (let i = 0; i < 3; i++) {
          const { msBeforeNext, ...refused } = await limiter.consume('account', 'ann');
          expect(refused).toStrictEqual({ allowed: false, limit: 'hour', remaining: 0 });
          expect(msBeforeNext).toBeGreaterThan(HOUR / 2);
          expect(msBeforeNext).toBeLessThanOrEqual(HOUR);
        }
        expect(await limiter.consume('account', 'bob')).toMatchObject({ allowed: true, remaining: 2 });
        await endHour();
      }
    }));

  it('consumes several points at once, or none of them', () =>
    withLimiter({ account: hour(10) }, async (limiter) => {
      expect(await limiter.consume('account', 'ann', 11)).toMatchObject({ allowed: false, remaining: 10 });
      expect(await limiter.consume('account', 'ann', 7)).toMatchObject({ allowed: true, remaining: 3 });
      expect(await limiter.consume('account', 'ann', 4)).toMatchObject({ allowed: false, remaining: 3 });
      expect(await limiter.consume('account', 'ann', 3)).toMatchObject({ allowed: true, remaining: 0 });
    }));

  it('consumes from all limits or from none, and names the one that decides', () =>
    withLimiter({ client: hourAndDay(3, 5) }, async (limiter, endHour) => {
      const consume = async () => {
        const { allowed, limit, remaining } = await limiter.consume('client', '192.0.2.1');
        return [allowed, limit, remaining];
      };
      expect(await consume()).toStrictEqual([true, 'hour', 2]);
      expect(await consume()).toStrictEqual([true, 'hour', 1]);
      expect(await consume()).toStrictEqual([true, 'hour', 0]);
      // Refused by the hour, these are not taken from the day.
      for (let i = 0; i < 10; i++) expect(await consume()).toStrictEqual([false, 'hour', 0]);
      await endHour();
      expect(await consume()).toStrictEqual([true, 'day', 1]);
      expect(await consume()).toStrictEqual([true, 'day', 0]);
      for (let i = 0; i < 10; i++) expect(await consume()).toStrictEqual([false, 'day', 0]);
      await endHour();
      expect(await consume()).toStrictEqual([false, 'day', 0]);
    }));

  it('counts exactly what a model counts', () =>
    withLimiter({ sender: hourAndDay(20, 45) }, async (limiter, endHour) => {
      const random = new Random(20260101);
      const names = ['<a@x.example>', '<b@x.example>', ''];
      const left = names.map(() => ({ hour: 20, day: 45 }));
      for (let step = 0; step < 150; step++) {
        if (random.chance(0.05)) {
          await endHour();
          for (const each of left) each.hour = 20;
        }
        const at = random.below(names.length);
        const points = 1 + random.below(8);
        const known = left[at] as { hour: number; day: number };
        const expected = points <= known.hour && points <= known.day;
        if (expected) {
          known.hour -= points;
          known.day -= points;
        }
        const { allowed } = await limiter.consume('sender', names[at] as string, points);
        expectThat(allowed, `step ${step}`).toBe(expected);
      }
    }));

  it('lets no more through than allowed, however many try at the same time', () =>
    withLimiter({ account: hourAndDay(60, 100) }, async (limiter) => {
      const results = await Promise.all(Array.from({ length: 200 }, () => limiter.consume('account', 'ann')));
      expect(results.filter(({ allowed }) => allowed)).toHaveLength(60);
      expect(await limiter.consume('account', 'ann')).toMatchObject({
        allowed: false,
        limit: 'hour',
        remaining: 0,
      });
    }));

  it.each<[LimitedBy, string, string, boolean]>([
    ['client', '192.0.2.1', '::ffff:192.0.2.1', true],
    ['client', '192.0.2.1', '192.0.2.2', false],
    ['client', '2001:db8::1', '2001:DB8:0:0:ffff::2', true],
    ['client', '2001:db8::1', '2001:db8:0:1::1', false],
    ['client', 'localhost', 'LOCALHOST', true],
    ['account', 'Ann@Example.com', 'ann@example.com', true],
    ['account', 'ann', 'ann ', false],
    ['sender', '<Ann@Example.com>', 'ann@example.com.', true],
    ['sender', 'ann@münchen.example', 'ann@xn--mnchen-3ya.example', true],
    ['sender', '<>', '', true],
    ['sender', 'ann@example.com', 'ann@example.net', false],
    ['recipient', '"ann"@example.com', 'ann@example.com', true],
    ['recipient', `${'x'.repeat(100_000)}@example.com`, `${'x'.repeat(100_001)}@example.com`, false],
    ['sender', 'gr\udcfc@example.com', 'gr\udcfd@example.com', false],
    ['account', '__proto__', 'constructor', false],
  ])('%s %.20s and %.20s: the same is %s', (by, first, second, same) =>
    withLimiter({ [by]: hour(1) }, async (limiter) => {
      expect(await limiter.consume(by, first)).toMatchObject({ allowed: true });
      expect(await limiter.consume(by, second)).toMatchObject({ allowed: !same });
    }),
  );

  it('counts kinds of names apart, and does not limit a kind without limits', () =>
    withLimiter({ sender: hour(1), recipient: hour(1) }, async (limiter) => {
      expect(await limiter.consume('sender', 'ann@example.com')).toMatchObject({ allowed: true });
      expect(await limiter.consume('recipient', 'ann@example.com')).toMatchObject({ allowed: true });
      expect(await limiter.consume('sender', 'ann@example.com')).toMatchObject({ allowed: false });
      for (let i = 0; i < 3; i++) {
        expect(await limiter.consume('client', '192.0.2.1')).toStrictEqual({
          allowed: true,
          limit: undefined,
          remaining: Infinity,
          msBeforeNext: 0,
        });
      }
    }));

  it('gives points back', () =>
    withLimiter({ account: hourAndDay(1, 1) }, async (limiter) => {
      expect(await limiter.reset('account', 'ann')).toBe(false);
      expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: true });
      expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: false });
      expect(await limiter.reset('account', 'ANN')).toBe(true);
      expect(await limiter.consume('account', 'ann')).toMatchObject({ allowed: true });
    }));
}
