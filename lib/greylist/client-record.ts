/** The automatic whitelist: a client whose retries have been accepted often enough is not deferred any more. */
import type { Rules } from './rules.js';

/** The stored record of a client. Times are milliseconds since 1970. */
export interface ClientRecord {
  /** The number of triples of the client that were accepted after a retry, at most one an hour. */
  readonly passes: number;
  /** When the last of them was counted. */
  readonly counted: number;
  /** The last message of the client that was counted or accepted without greylisting. */
  readonly seen: number;
}

/**
 * Passes of a client within this time count as one: a single burst of mail to many recipients says no more about the client than
 * one message.
 */
export const PASS_INTERVAL = 3_600_000;

/** Whether mail of the client is accepted without greylisting. {@link CHECK} does the same in Lua. */
export function isWhitelisted(known: ClientRecord, now: number, { autoWhitelist, lifetime }: Rules): boolean {
  return autoWhitelist > 0 && known.passes >= autoWhitelist && now - known.seen < lifetime;
}

/** The record of a client after a triple of it was accepted for the first time. */
export function recordPass(known: ClientRecord | undefined, now: number, { lifetime }: Rules): ClientRecord {
  if (known === undefined || now - known.seen >= lifetime) return { passes: 1, counted: now, seen: now };
  if (now - known.counted < PASS_INTERVAL) return known;
  return { passes: known.passes + 1, counted: now, seen: Math.max(known.seen, now) };
}
