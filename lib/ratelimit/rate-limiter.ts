/** Rate limits: how many messages or recipients a client, account or address may have in an hour or a day. */
import { badArgument, type MilterError } from '../internal/errors.js';
import { ToleratedFailures } from '../internal/stores/tolerated-failures.js';
import { SECOND } from '../internal/time-spans.js';
import {
  checkFunctionOrNull,
  checkInteger,
  checkOptions,
  checkText,
  type OptionNames,
} from '../internal/validate.js';
import type { ClientNetworks } from '../utils/client-network.js';
import { keyOf, LIMITED_BY, type LimitedBy } from './keys.js';
import { SqliteRateLimitStore } from './sqlite-store.js';
import type { Counter, RateLimitStore } from './store.js';

const MAX_SECONDS = 366 * 86_400;
const MAX_POINTS = 1_000_000_000;
const LIMIT_NAME = /^[a-z][a-z0-9-]{0,31}$/;

/** A limit of points in a time span. */
export interface RateLimit {
  /** The points of a window: messages, recipients, or whatever is passed to {@link RateLimiter.consume}. */
  readonly points: number;
  /** The length of a window in milliseconds, whole seconds. A window begins with the first points after the last one has ended. */
  readonly duration: number;
}

/** Limits with names, which are words such as `hour` and `day`: up to 32 lower-case letters, digits and hyphens. */
export type NamedLimits = Readonly<Record<string, RateLimit>>;

/** What is limited, and how. */
export interface RateLimiterOptions {
  /** For each kind of name, its limits; all of them must allow what is consumed. What has no limits is always allowed. */
  readonly limits: Readonly<Partial<Record<LimitedBy, NamedLimits>>>;
  /** Clients of an IPv4 network with this prefix length count as one client. Default: 32, each by itself. */
  readonly ipv4Prefix?: number;
  /** Clients of an IPv6 network with this prefix length count as one client. Default: 64, what one host usually gets. */
  readonly ipv6Prefix?: number;
  /** What {@link RateLimiter.consume} does if the store fails. Default: `allow`, as accepting mail matters more than limits. */
  readonly whenStoreFails?: 'allow' | 'refuse' | 'throw';
  /** Called with each failure of the store that is not thrown; it must not throw. Default: a process warning for the first of a series. */
  readonly onFailure?: (error: MilterError) => void;
}

const OPTIONS: OptionNames<RateLimiterOptions> = {
  limits: true,
  ipv4Prefix: true,
  ipv6Prefix: true,
  whenStoreFails: true,
  onFailure: true,
};

/** Whether points could be consumed. */
export interface RateLimitResult {
  readonly allowed: boolean;
  /**
   * The name of the limit that decides: of those that refuse, the one whose window ends last; otherwise the one with the fewest points
   * left. Undefined if there is no limit, or if the store has failed.
   */
  readonly limit: string | undefined;
  /** The points of this limit that are left. Infinity without a limit. */
  readonly remaining: number;
  /** Milliseconds until the window of this limit ends, and all of its points are available again. 0 without a limit. */
  readonly msBeforeNext: number;
  /** The error of the store if it has failed, and `whenStoreFails` has decided. */
  readonly failure?: MilterError;
}

interface NamedCounter {
  readonly limit: string;
  readonly points: number;
  readonly counter: Counter;
}

/** What a limit says about points that have been charged to it. */
interface Charge extends NamedCounter {
  readonly exceeded: boolean;
  readonly remaining: number;
  readonly msBeforeNext: number;
}

/**
 * Points are not taken back from a window that is about to end: they could arrive in the next one, where they have not been charged.
 */
const REFUND_MARGIN_MS = 5000;

/**
 * Limits what clients, accounts and addresses may send. Points are counted by the package rate-limiter-flexible, in SQLite or Redis.
 *
 * Points are consumed from all limits of a name, or, if one of them refuses, from none: what is refused and tried again does not use
 * up the limit of the day. While several attempts are decided at the same moment, one may be refused because of another that is
 * refused, too; never more points pass than a limit has.
 */
export class RateLimiter implements AsyncDisposable {
  readonly #store: RateLimitStore;
  readonly #counters: ReadonlyMap<LimitedBy, readonly NamedCounter[]>;
  readonly #networks: ClientNetworks;
  readonly #allowedByFailure: boolean;
  readonly #failures: ToleratedFailures | undefined;

  /**
   * @param store a store, or the path of an SQLite file, which is created if it does not exist
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for invalid options; the errors of {@link SqliteRateLimitStore}
   */
  constructor(store: string | RateLimitStore, options: RateLimiterOptions) {
    checkOptions('RateLimiter', options, OPTIONS);
    const { limits, ipv4Prefix = 32, ipv6Prefix = 64, whenStoreFails = 'allow' } = options;
    checkLimits(limits);
    checkInteger('RateLimiter: ipv4Prefix', ipv4Prefix, 1, 32);
    checkInteger('RateLimiter: ipv6Prefix', ipv6Prefix, 1, 128);
    if (!['allow', 'refuse', 'throw'].includes(whenStoreFails)) {
      throw badArgument("RateLimiter: whenStoreFails must be 'allow', 'refuse' or 'throw'");
    }
    checkFunctionOrNull('RateLimiter: onFailure', options.onFailure ?? null);
    this.#networks = { ipv4Prefix, ipv6Prefix };
    this.#allowedByFailure = whenStoreFails === 'allow';
    this.#failures = whenStoreFails === 'throw' ? undefined : new ToleratedFailures(options.onFailure);
    this.#store = typeof store === 'string' ? new SqliteRateLimitStore(store) : store;
    this.#counters = new Map(LIMITED_BY.map((by) => [by, countersOf(this.#store, by, limits[by] ?? {})]));
  }

  /**
   * Consumes points of a name, if all of its limits allow it.
   *
   * @param by `client`: an address, counted together with those of its network; `account`: the name by which a client has logged in, in
   *   any letter case; `sender` or `recipient`: a mail address, with or without `<>`, in any letter case; '' for the null sender
   * @param points how many, from 1: for example the recipients of a message. Default: 1
   * @returns whether they have been consumed; more than a limit has in all are never allowed
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT; ERR_MILTER_STORE with `whenStoreFails: 'throw'`. Within a limited time.
   */
  async consume(by: LimitedBy, name: string, points = 1): Promise<RateLimitResult> {
    const counters = this.#countersOf('consume', by, name);
    checkInteger('consume: points', points, 1, MAX_POINTS);
    if (counters.length === 0)
      return { allowed: true, limit: undefined, remaining: Infinity, msBeforeNext: 0 };
    const key = keyOf(by, name, this.#networks);
    const request = () => consumeAll(counters, key, points);
    if (this.#failures === undefined) return request();
    return this.#failures.run(request, (failure) => ({
      allowed: this.#allowedByFailure,
      limit: undefined,
      remaining: this.#allowedByFailure ? Infinity : 0,
      msBeforeNext: 0,
      failure,
    }));
  }

  /**
   * Gives a name all of its points back, for example after a stolen password has been changed.
   *
   * @param by as for {@link consume}
   * @param name as for {@link consume}
   * @returns whether any points had been consumed
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT; ERR_MILTER_STORE
   */
  async reset(by: LimitedBy, name: string): Promise<boolean> {
    const counters = this.#countersOf('reset', by, name);
    const key = keyOf(by, name, this.#networks);
    const deleted = await Promise.all(counters.map(({ counter }) => counter.delete(key)));
    return deleted.includes(true);
  }

  /** Closes the store. */
  async close(): Promise<void> {
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #countersOf(method: string, by: LimitedBy, name: string): readonly NamedCounter[] {
    const counters = this.#counters.get(by);
    if (counters === undefined) {
      throw badArgument(
        `${method}: the first argument must be one of ${LIMITED_BY.join(', ')}, not ${String(by)}`,
      );
    }
    checkText(`${method}: name`, name);
    return counters;
  }
}

function checkLimits(limits: RateLimiterOptions['limits']): void {
  if (typeof limits !== 'object' || limits === null)
    throw badArgument('RateLimiter: limits must be an object');
  checkOptions('RateLimiter: limits', limits, { client: true, account: true, sender: true, recipient: true });
  for (const [by, named] of Object.entries(limits)) {
    if (typeof named !== 'object' || named === null)
      throw badArgument(`RateLimiter: ${by} must be an object`);
    for (const [name, limit] of Object.entries(named)) {
      const where = `RateLimiter: ${by}.${name}`;
      if (!LIMIT_NAME.test(name)) {
        throw badArgument(
          `${where}: the name of a limit must be a word of lower-case letters, digits and hyphens`,
        );
      }
      checkOptions(where, limit, { points: true, duration: true });
      checkInteger(`${where}.points`, limit.points, 1, MAX_POINTS);
      checkInteger(`${where}.duration in seconds`, limit.duration / SECOND, 1, MAX_SECONDS);
    }
  }
}

function countersOf(store: RateLimitStore, by: LimitedBy, limits: NamedLimits): NamedCounter[] {
  return Object.entries(limits).map(([limit, { points, duration }]) => {
    const options = { keyPrefix: `${by}:${limit}`, points, duration: duration / SECOND };
    return { limit, points, counter: store.counter(options) };
  });
}

async function consumeAll(
  counters: readonly NamedCounter[],
  key: string,
  points: number,
): Promise<RateLimitResult> {
  const charges = await Promise.all(counters.map((counter) => charge(counter, key, points)));
  const exceeded = charges.filter((each) => each.exceeded);
  const allowed = exceeded.length === 0;
  if (!allowed) await Promise.all(charges.map((each) => refund(each, key, points)));
  const { limit, remaining, msBeforeNext } = allowed
    ? charges.reduce((least, each) => (each.remaining < least.remaining ? each : least))
    : exceeded.reduce((last, each) => (each.msBeforeNext > last.msBeforeNext ? each : last));
  return { allowed, limit, remaining, msBeforeNext };
}

async function charge(named: NamedCounter, key: string, points: number): Promise<Charge> {
  const { consumedPoints, msBeforeNext } = await named.counter.penalty(key, points);
  const exceeded = consumedPoints > named.points;
  const kept = exceeded ? consumedPoints - points : consumedPoints;
  return { ...named, exceeded, remaining: Math.max(0, named.points - kept), msBeforeNext };
}

async function refund({ counter, msBeforeNext }: Charge, key: string, points: number): Promise<void> {
  if (msBeforeNext > REFUND_MARGIN_MS) await counter.reward(key, points);
}
