/** When a triple is put off, let in, and forgotten. RFC 6647 has the reasons. */

/** Spans of time, in milliseconds. */
export interface Rules {
  /** A retry counts when this much has passed since the first try. */
  readonly delay: number;
  /** A retry counts until this much has passed since the first try; later it is a first try again. */
  readonly window: number;
  /** A triple that was let in is known until this much has passed since its last mail. */
  readonly lifetime: number;
}

/** What is known of a triple. Times are milliseconds since 1970. */
export interface Known {
  /** The first try. */
  readonly first: number;
  /** The last mail that was let in; the first try before that. */
  readonly last: number;
  /** How many were let in. */
  readonly count: number;
}

/** Whether a record says nothing any more. */
export function isOver({ first, last, count }: Known, now: number, { window, lifetime }: Rules): boolean {
  // A first try in the future is left from a clock that was wrong, and would put mail off for as long as it was.
  if (count === 0) return now < first || now - first >= window;
  return now - last >= lifetime;
}

/**
 * What is known of a triple after a try. {@link CHECK} says the same in Lua; the tests compare the two.
 *
 * @returns a record whose count is 0 where the mail is to be put off
 */
export function afterTry(known: Known | undefined, now: number, rules: Rules): Known {
  if (known === undefined || isOver(known, now, rules)) return { first: now, last: now, count: 0 };
  const { first, last, count } = known;
  if (count === 0 && now - first < rules.delay) return known;
  // Clocks of two hosts differ: what one has let in does not get older by the other.
  return { first, last: Math.max(last, now), count: count + 1 };
}
