/** Addresses that are remembered in Redis, which several machines can share. */
import { RedisRequests, type RedisStoreOptions } from '../internal/stores/redis-requests.js';
import { type AddressMemory, checkedEntries, keyOf } from './address-memory.js';

/** Keys that one script writes: Redis serves no other client meanwhile. */
const BATCH = 500;

const ADD = `
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < tonumber(ARGV[1]) then redis.call('SET', key, '', 'PX', ARGV[1]) end
end
`;
const HAS = "return redis.call('EXISTS', KEYS[1])";

/**
 * Addresses in Redis 6 or later, using the optional package `redis`. Redis forgets by itself those whose time is over.
 *
 * The first request connects. If Redis is unavailable, a request fails at once, and the next one connects again. If Redis does not
 * reply, all pending requests fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisAddressMemory implements AddressMemory {
  readonly #redis: RedisRequests;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(options: RedisStoreOptions = {}) {
    this.#redis = new RedisRequests({ name: 'RedisAddressMemory', contents: 'addresses' }, options);
  }

  async add(addresses: readonly string[], days: number): Promise<void> {
    const { keys, ms } = checkedEntries(addresses, days);
    const prefixed = keys.map((key) => this.#redis.prefix + key);
    for (let at = 0; at < prefixed.length; at += BATCH)
      await this.#redis.eval(ADD, prefixed.slice(at, at + BATCH), [ms]);
  }

  async has(address: string): Promise<boolean> {
    return (await this.#redis.eval<number>(HAS, [this.#redis.prefix + keyOf(address)], [])) === 1;
  }

  /** Has nothing to do. */
  async clean(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    await this.#redis.close();
  }
}
