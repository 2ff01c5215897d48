/** Reputations in Redis, which several machines can share. */
import { RedisRequests, type RedisStoreOptions } from '../internal/stores/redis-requests.js';
import { CLEAN, LIST, MERGE, RECORD } from './redis-script.js';
import type { HostRecord, ReputationEntry, ReputationStore } from './store.js';

/**
 * Reputations in Redis 6 or later, using the optional package `redis`. All hosts with the same Redis and prefix share what they know
 * at once; their clocks must agree within a few minutes. Redis expires identities by itself, so `clean()` has little to do.
 *
 * The first request connects. If Redis is unavailable, a request fails at once, and the next one connects again. If Redis does not
 * reply, all pending requests fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisReputationStore implements ReputationStore {
  readonly #redis: RedisRequests;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(options: RedisStoreOptions = {}) {
    this.#redis = new RedisRequests({ name: 'RedisReputationStore', contents: 'reputation' }, options);
  }

  async record(id: string, host: string, outcome: string, now: number, lifetime: number): Promise<void> {
    await this.#redis.eval(RECORD, [this.#redis.prefix + id], [host, outcome, now, lifetime]);
  }

  async find(id: string): Promise<readonly HostRecord[]> {
    const values = await this.#redis.send((client) => client.hVals(this.#redis.prefix + id));
    return values.map(parseRecord);
  }

  merge(entries: readonly ReputationEntry[], now: number, lifetime: number): Promise<number> {
    const keys = entries.map(({ id }) => this.#redis.prefix + id);
    const records = entries.flatMap(({ host, changed, outcomes }) => [host, changed, outcomes]);
    return this.#redis.eval(MERGE, keys, [now, lifetime, ...records]);
  }

  async *entries(since: number): AsyncGenerator<ReputationEntry, void, void> {
    for await (const found of this.#redis.eachBatch<string[]>(LIST, [since])) {
      for (let at = 0; at < found.length; at += 3) {
        const [key, host, value] = found.slice(at, at + 3) as [string, string, string];
        yield { id: key.slice(this.#redis.prefix.length), host, ...parseRecord(value) };
      }
    }
  }

  async clean(until: number): Promise<number> {
    let removed = 0;
    for await (const count of this.#redis.eachBatch<number>(CLEAN, [until])) removed += count;
    return removed;
  }

  async close(): Promise<void> {
    await this.#redis.close();
  }
}

/** Parses what redis-script.ts writes. */
function parseRecord(value: string): HostRecord {
  const blank = value.indexOf(' ');
  return { changed: Number(value.slice(0, blank)), outcomes: value.slice(blank + 1) };
}
