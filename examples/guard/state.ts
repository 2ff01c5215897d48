/** What the filter remembers: in SQLite on one host, in Redis for several. One line of the configuration chooses. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Greylist, type GreylistOptions, RedisStore, SqliteStore } from 'tsmilter/greylist';
import { type AddressMemory, RedisAddressMemory, SqliteAddressMemory } from 'tsmilter/lists';
import {
  RateLimiter,
  type RateLimiterOptions,
  RedisRateLimitStore,
  SqliteRateLimitStore,
} from 'tsmilter/ratelimit';
import {
  RedisReputationStore,
  Reputation,
  type ReputationOptions,
  SqliteReputationStore,
} from 'tsmilter/reputation';
import { ConfigError } from '../shared/config-error';
import type { Option } from './options';
import type { Resources } from './resources';

/** How often what has expired is removed. */
const CLEANING_INTERVAL_MS = 3_600_000;

export type StateLocation = { readonly kind: 'sqlite' | 'redis'; readonly where: string };

/** `sqlite:/directory` or `redis://host:port/database`. */
export const stateLocation: Option<StateLocation> = {
  doc: '`sqlite:` and a directory, or `redis://user:password@host:port/database` to share it between hosts',
  fallback: 'sqlite:/var/lib/guard',
  read(value, { directory }) {
    const path = /^sqlite:(.+)$/i.exec(value)?.[1];
    if (path !== undefined) return { kind: 'sqlite', where: resolve(directory, path) };
    if (/^rediss?:\/\/./i.test(value) && URL.canParse(value)) return { kind: 'redis', where: value };
    throw new ConfigError('must be sqlite:/directory or redis://host:port/database');
  },
};

/** Opens stores for rules; they are closed with the configuration. */
export class State {
  readonly #location: StateLocation;
  readonly #resources: Resources;
  readonly #report: (message: string) => void;
  readonly #onFailure = (error: Error) => this.#report(error.message);

  constructor(location: StateLocation, resources: Resources, report: (message: string) => void) {
    this.#location = location;
    this.#resources = resources;
    this.#report = report;
  }

  greylist(options: GreylistOptions): Greylist {
    const { kind, where } = this.#location;
    const store =
      kind === 'redis' ? new RedisStore({ url: where }) : new SqliteStore(this.#file('greylist.db'));
    return this.#cleaned(new Greylist(store, options));
  }

  reputation(options: ReputationOptions): Reputation {
    const { kind, where } = this.#location;
    const store =
      kind === 'redis'
        ? new RedisReputationStore({ url: where })
        : new SqliteReputationStore(this.#file('reputation.db'));
    return this.#cleaned(new Reputation(store, { ...options, onFailure: this.#onFailure }));
  }

  /** What it counts expires by itself. */
  rateLimiter(options: RateLimiterOptions): RateLimiter {
    const { kind, where } = this.#location;
    const store =
      kind === 'redis'
        ? new RedisRateLimitStore({ url: where })
        : new SqliteRateLimitStore(this.#file('limits.db'));
    const limiter = new RateLimiter(store, { ...options, onFailure: this.#onFailure });
    this.#resources.add(() => limiter.close());
    return limiter;
  }

  /** The addresses to which our own users have written. */
  addresses(): AddressMemory {
    const { kind, where } = this.#location;
    return this.#cleaned(
      kind === 'redis'
        ? new RedisAddressMemory({ url: where })
        : new SqliteAddressMemory(this.#file('addresses.db')),
    );
  }

  #file(name: string): string {
    // Who writes to whom is nobody else's business, also in a directory that others may read. SQLite's further files have the same mode.
    mkdirSync(this.#location.where, { recursive: true, mode: 0o700 });
    const file = join(this.#location.where, name);
    closeSync(openSync(file, 'a', 0o600));
    return file;
  }

  #cleaned<T extends { clean(): Promise<number>; close(): Promise<void> }>(store: T): T {
    const clean = () => store.clean().catch(this.#onFailure);
    const timer = setInterval(clean, CLEANING_INTERVAL_MS).unref();
    this.#resources.add(() => {
      clearInterval(timer);
      return store.close();
    });
    return store;
  }
}
