/** A greylist in Redis, which several machines can share. */

import { digestOf } from '../internal/stores/digest.js';
import { RedisRequests, type RedisStoreOptions } from '../internal/stores/redis-requests.js';
import { CHECK, CLEAN } from './redis-script.js';
import type { Rules } from './rules.js';
import type { GreylistStore, Triple } from './store.js';

/**
 * A greylist in Redis 6 or later, using the optional package `redis`. All hosts with the same Redis and prefix share one
 * greylist; their clocks must agree within a few seconds. Redis expires triples by itself, so `clean()` has little to do.
 *
 * The first check connects. If Redis is unavailable, a check fails at once, and the next check connects again. If Redis does not
 * reply, all pending checks fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisStore implements GreylistStore {
  readonly #redis: RedisRequests;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(options: RedisStoreOptions = {}) {
    this.#redis = new RedisRequests({ name: 'RedisStore', contents: 'greylist' }, options);
  }

  async check(triple: Triple, now: number, rules: Rules): Promise<number> {
    const { prefix } = this.#redis;
    // A digest keeps keys short for addresses of any length, and does not reveal who writes to whom.
    const keys = [prefix + digestOf(...triple), `${prefix}client:${digestOf(triple[0])}`];
    return this.#redis.eval(CHECK, keys, [
      now,
      rules.delay,
      rules.window,
      rules.lifetime,
      rules.autoWhitelist,
    ]);
  }

  /** As {@link GreylistStore.clean}. `timeout` applies to each batch of keys. */
  async clean(now: number, { window, lifetime }: Rules): Promise<number> {
    let removed = 0;
    for await (const count of this.#redis.eachBatch<number>(CLEAN, [now, window, lifetime])) removed += count;
    return removed;
  }

  async close(): Promise<void> {
    await this.#redis.close();
  }
}
