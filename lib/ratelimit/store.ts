/** The storage of rate limits. */

/** The points of one limit, counted by key in windows of time that begin with the first points of a key. */
export interface Counter {
  /** Adds points. @returns the points of the window, with these, and milliseconds until the window ends */
  penalty(
    key: string,
    points: number,
  ): Promise<{ readonly consumedPoints: number; readonly msBeforeNext: number }>;
  /** Takes points back. */
  reward(key: string, points: number): Promise<unknown>;
  /** Ends the window. @returns whether there was one */
  delete(key: string): Promise<boolean>;
}

/** What a counter is for. */
export interface CounterOptions {
  /** Tells the keys of different limits apart. */
  readonly keyPrefix: string;
  /** The points of a window. */
  readonly points: number;
  /** The length of a window in seconds. */
  readonly duration: number;
}

/**
 * A store, such as {@link SqliteRateLimitStore} or {@link RedisRateLimitStore}. Other classes of the package rate-limiter-flexible are
 * counters, too; a store of your own may create them. Its operations must be atomic, and must reject with a `MilterError` of the code
 * ERR_MILTER_STORE if the store fails.
 */
export interface RateLimitStore {
  /** Makes the counter of a limit. */
  counter(options: CounterOptions): Counter;
  /** Closes files and connections. */
  close(): Promise<void>;
}
