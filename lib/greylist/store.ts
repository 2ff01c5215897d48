/** The storage of a greylist. */
import type { Rules } from './rules.js';

/** Client address, envelope sender and envelope recipient. */
export type Triple = readonly [ip: string, sender: string, recipient: string];

/** A store, such as {@link SqliteStore} or {@link RedisStore}. Its operations must be atomic. */
export interface GreylistStore {
  /**
   * Records an attempt.
   *
   * @param now milliseconds since 1970
   * @returns the number of accepted messages of the triple, including this one; 0 if it is deferred
   */
  check(triple: Triple, now: number, rules: Rules): Promise<number>;
  /** Removes expired triples. @returns the number removed */
  clean(now: number, rules: Rules): Promise<number>;
  /** Closes files and connections. */
  close(): Promise<void>;
}
