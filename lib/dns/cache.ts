/** A cache of answers, bounded in number, size and age. When it is full, the oldest answer is evicted. */
import { shareInstanceof } from '../internal/shared-instanceof.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { DnsError } from './error.js';
import type { DnsQuestion, DnsRecord } from './record-types.js';

/** Bounds of a cache. */
export interface DnsCacheOptions {
  /** Maximum number of answers; 0 disables the cache. Default: 1,000. */
  readonly cacheSize?: number;
  /** Maximum size of all answers in bytes, as an estimate of the memory that they need. Default: 16 MiB. */
  readonly maxCacheBytes?: number;
  /** Maximum time in seconds that an answer is cached, whatever its TTL. Default: 3,600. */
  readonly maxTtl?: number;
  /** Maximum time in seconds that the absence of a name or record is cached; less if the zone's SOA record says so (RFC 2308 5). Default: 60. */
  readonly negativeTtl?: number;
  /** The clock in milliseconds, for tests. Default: Date.now. */
  readonly now?: () => number;
}

export const CACHE_OPTIONS: OptionNames<DnsCacheOptions> = {
  cacheSize: true,
  maxCacheBytes: true,
  maxTtl: true,
  negativeTtl: true,
  now: true,
};

/** What a lookup has found: records, or why there are none. */
export interface Outcome {
  readonly result: readonly DnsRecord[] | DnsError;
  /** For how many seconds DNS allows it to be cached; undefined if DNS does not say. */
  readonly ttl: number | undefined;
}

interface Entry {
  readonly outcome: Outcome;
  readonly expires: number;
  readonly size: number;
}

/** An estimate of what an entry, a record or an error needs beside its texts. */
const OVERHEAD = 200;

/**
 * Answers of DNS that several sessions share: `new DnsSession({ cache })`. Only what was asked for is in it, never other
 * records of an answer. Failures of servers are not cached.
 */
export class DnsCache {
  readonly #entries = new Map<string, Entry>();
  readonly #limits: { readonly entries: number; readonly bytes: number };
  readonly #maxTtl: number;
  readonly #negativeTtl: number;
  readonly #now: () => number;
  #bytes = 0;

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid option */
  constructor(options: DnsCacheOptions = {}) {
    checkOptions('DnsCache', options, CACHE_OPTIONS);
    const { cacheSize = 1000, maxCacheBytes = 16 * 1024 * 1024, maxTtl = 3600, negativeTtl = 60 } = options;
    for (const [name, value] of Object.entries({ cacheSize, maxCacheBytes, maxTtl, negativeTtl })) {
      checkInteger(`DnsCache: ${name}`, value, 0);
    }
    this.#limits = { entries: cacheSize, bytes: maxCacheBytes };
    this.#maxTtl = maxTtl;
    this.#negativeTtl = negativeTtl;
    this.#now = options.now ?? Date.now;
  }

  /** The number of answers in the cache, expired ones included. */
  get size(): number {
    return this.#entries.size;
  }

  /** @internal */
  get(question: DnsQuestion): Outcome | undefined {
    const key = keyOf(question);
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expires > this.#now()) return entry.outcome;
    this.#remove(key, entry);
    return undefined;
  }

  /** @internal */
  set(question: DnsQuestion, outcome: Outcome): void {
    const key = keyOf(question);
    const old = this.#entries.get(key);
    if (old !== undefined) this.#remove(key, old);
    const seconds = this.#lifetimeOf(outcome);
    const size = sizeOf(key, outcome);
    if (seconds <= 0 || this.#limits.entries === 0 || size > this.#limits.bytes) return;
    while (this.#entries.size >= this.#limits.entries || this.#bytes + size > this.#limits.bytes) {
      const [oldest] = this.#entries as Iterable<[string, Entry]>;
      this.#remove(...(oldest as [string, Entry]));
    }
    this.#entries.set(key, { outcome, expires: this.#now() + seconds * 1000, size });
    this.#bytes += size;
  }

  #remove(key: string, { size }: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= size;
  }

  /** In seconds. Temporary failures are not cached. */
  #lifetimeOf({ result, ttl = Number.POSITIVE_INFINITY }: Outcome): number {
    if (result instanceof DnsError) return result.nothing ? Math.min(this.#negativeTtl, ttl) : 0;
    return Math.min(this.#maxTtl, ttl);
  }
}

shareInstanceof(DnsCache, 'DnsCache');

/** Names are compared without regard to case (RFC 1035 2.3.3). */
export function keyOf({ name, type }: DnsQuestion): string {
  return `${type} ${name.toLowerCase()}`;
}

function sizeOf(key: string, { result }: Outcome): number {
  if (result instanceof DnsError) return key.length + result.message.length + OVERHEAD;
  return result.reduce((sum, record) => sum + recordSize(record), key.length + OVERHEAD);
}

function recordSize({ name, data }: DnsRecord): number {
  const texts = typeof data === 'string' ? [data] : Array.isArray(data) ? data : [data.exchange];
  return texts.reduce((sum, text) => sum + text.length + OVERHEAD / 4, name.length + OVERHEAD);
}
