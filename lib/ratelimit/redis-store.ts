/** Rate limits in Redis, which several machines can share. */
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { RedisRequests, type RedisStoreOptions } from '../internal/stores/redis-requests.js';
import type { Counter, CounterOptions, RateLimitStore } from './store.js';

/**
 * Rate limits in Redis 6 or later, using the optional package `redis`. All hosts with the same Redis and prefix share the limits.
 * Redis measures the windows, and forgets those that have ended.
 *
 * The first request connects. If Redis is unavailable, a request fails at once, and the next one connects again. If Redis does not
 * reply, all pending requests fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisRateLimitStore implements RateLimitStore {
  readonly #redis: RedisRequests;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(options: RedisStoreOptions = {}) {
    this.#redis = new RedisRequests({ name: 'RedisRateLimitStore', contents: 'ratelimit' }, options);
  }

  counter({ keyPrefix, ...options }: CounterOptions): Counter {
    return new RateLimiterRedis({
      ...options,
      keyPrefix: `${this.#redis.prefix}${keyPrefix}`,
      // What the package uses of a client: each call gets a connection that works, or fails in time.
      storeClient: {
        eval: (script: string, call: { keys: string[]; arguments: string[] }) =>
          this.#redis.send((client) => client.eval(script, call)),
        del: (key: string) => this.#redis.send((client) => client.del(key)),
      },
      useRedisPackage: true,
    });
  }

  async close(): Promise<void> {
    await this.#redis.close();
  }
}
