/** The rules by which a triple is deferred, accepted and removed. RFC 6647 gives the reasons. */

/** What a store has to know of a greylist's options. Time spans are in milliseconds. */
export interface Rules {
  /** A retry is accepted once this time has passed since the first attempt. */
  readonly delay: number;
  /** A retry is accepted until this time has passed since the first attempt; a later one counts as a first attempt. */
  readonly window: number;
  /** A triple that was accepted is remembered until this time has passed since its last message. */
  readonly lifetime: number;
  /** After this many passes, all mail of a client is accepted; 0 for never. See client-record.ts. */
  readonly autoWhitelist: number;
}

/** The stored record of a triple. Times are milliseconds since 1970. */
export interface TripleRecord {
  /** The first attempt. */
  readonly first: number;
  /** The last message that was accepted, or the first attempt if none was. */
  readonly last: number;
  /** The number of messages accepted. */
  readonly count: number;
}

/** Whether a record has expired. */
export function isExpired(
  { first, last, count }: TripleRecord,
  now: number,
  { window, lifetime }: Pick<Rules, 'window' | 'lifetime'>,
): boolean {
  // A first attempt in the future comes from a clock that was wrong, and would defer mail until then.
  if (count === 0) return now < first || now - first >= window;
  return now - last >= lifetime;
}

/**
 * The record of a triple after an attempt. {@link CHECK} does the same in Lua; the tests compare the two.
 *
 * @returns a record whose count is 0 if the mail should be deferred
 */
export function recordAttempt(known: TripleRecord | undefined, now: number, rules: Rules): TripleRecord {
  if (known === undefined || isExpired(known, now, rules)) return { first: now, last: now, count: 0 };
  const { first, last, count } = known;
  if (count === 0 && now - first < rules.delay) return known;
  // Clocks of hosts differ, so `last` never moves backwards.
  return { first, last: Math.max(last, now), count: count + 1 };
}
