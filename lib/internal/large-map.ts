/** A map for many entries. */

/** A power of two. */
const SHARDS = 64;
const PRIME = 0x01000193;

/**
 * A map with up to millions of keys, in shards: when a single Map with a million entries grows, all of them are moved at once,
 * which blocks the thread for tens of milliseconds.
 */
export class LargeMap<Value> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, Value>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Value | undefined {
    return this.#shardOf(key).get(key);
  }

  has(key: string): boolean {
    return this.#shardOf(key).has(key);
  }

  set(key: string, value: Value): void {
    const shard = this.#shardOf(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
  }

  /** FNV-1a over the first and the last characters, so that long keys cost no more. */
  #shardOf(key: string): Map<string, Value> {
    let hash = key.length;
    for (let at = Math.max(0, key.length - 24); at < key.length; at++) {
      hash = Math.imul(hash ^ key.charCodeAt(at), PRIME);
    }
    for (let at = 0; at < Math.min(16, key.length); at++) hash = Math.imul(hash ^ key.charCodeAt(at), PRIME);
    return this.#shards[(hash ^ (hash >>> 16)) & (SHARDS - 1)] as Map<string, Value>;
  }
}
