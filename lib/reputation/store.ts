/** The storage of reputations. */
import { badArgument } from '../internal/errors.js';
import { isIdentity } from './identity.js';
import { isOutcomes } from './outcomes.js';

/** What one host knows of one identity. */
export interface HostRecord {
  /**
   * When the host last recorded a message, in milliseconds since 1970. It grows with each message, also if the clock does not, so
   * that of two records of the same host the one with the greater number is the newer one.
   */
  readonly changed: number;
  /** The last messages, 1 to 1,024, the newest last: three bytes each in base64, the hour since 1970 times two, plus one for spam. */
  readonly outcomes: string;
}

/** A record together with whose it is, as it is exported. It consists of strings and numbers, and can be sent as JSON. */
export interface ReputationEntry extends HostRecord {
  /** Name and level, such as `example.com:pass`. */
  readonly id: string;
  /** The host that has recorded the messages. */
  readonly host: string;
}

/** A store, such as {@link SqliteReputationStore} or {@link RedisReputationStore}. Its operations must be atomic. */
export interface ReputationStore {
  /**
   * Appends an outcome to the host's record, which begins anew if it was last changed `lifetime` ago.
   *
   * @param outcome four characters, see {@link HostRecord.outcomes}
   * @param now milliseconds since 1970
   * @param lifetime milliseconds
   */
  record(id: string, host: string, outcome: string, now: number, lifetime: number): Promise<void>;
  /** The records of all hosts: the 64 that were changed last. */
  find(id: string): Promise<readonly HostRecord[]>;
  /**
   * Stores entries that are newer than the host's record in the store: those with a greater `changed`, or, if it is equal, with
   * `outcomes` that come later in the order of bytes.
   *
   * @returns the number of entries that were newer
   */
  merge(entries: readonly ReputationEntry[], now: number, lifetime: number): Promise<number>;
  /** All entries that were last changed at `since` or later, in any order. */
  entries(since: number): AsyncIterable<ReputationEntry>;
  /** Removes records that were last changed at `until` or before. @returns the number removed */
  clean(until: number): Promise<number>;
  /** Closes files and connections. */
  close(): Promise<void>;
}

/**
 * The maximum number of hosts whose records of an identity are kept: those that were changed last. A host that gets a new name with
 * each start would otherwise leave a record each time.
 */
export const MAX_HOSTS = 64;

/**
 * Whether `a` replaces `b`, another record of the same host. The order is total, so the result of merges does not depend on which was
 * first. The outcomes only matter if two hosts have the same name by mistake.
 */
export function isNewer(a: HostRecord, b: HostRecord): boolean {
  return a.changed === b.changed ? a.outcomes > b.outcomes : a.changed > b.changed;
}

const HOST = /^[\w.-]{1,255}$/;
/** The latest date of JavaScript. */
const MAX_TIME = 8.64e15;

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkHost(where: string, host: unknown): asserts host is string {
  if (typeof host === 'string' && HOST.test(host)) return;
  throw badArgument(
    `${where} must be letters, digits, dots and hyphens, at most 255, not ${JSON.stringify(host)}`,
  );
}

/** Checks an entry that comes from elsewhere, and removes what does not belong to it. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function readEntry(entry: ReputationEntry): ReputationEntry {
  if (typeof entry !== 'object' || entry === null) throw badArgument('merge: an entry must be an object');
  const { id, host, changed, outcomes } = entry;
  if (!isIdentity(id)) throw badArgument(`merge: id must be a name and a level, not ${JSON.stringify(id)}`);
  checkHost('merge: host', host);
  if (!Number.isInteger(changed) || changed < 0 || changed > MAX_TIME) {
    throw badArgument(`merge: changed must be milliseconds since 1970, not ${String(changed)}`);
  }
  if (!isOutcomes(outcomes)) throw badArgument(`merge: outcomes of ${id} are not those of an export`);
  return { id, host, changed, outcomes };
}
