/** Where a greylist keeps what it knows. */
import { createHash } from 'node:crypto';
import { encodeBytes } from '../internal/bytes.js';
import type { Rules } from './rules.js';

/** Who sends from where to whom. */
export type Triple = readonly [ip: string, sender: string, recipient: string];

/** A store; {@link SqliteStore} and {@link RedisStore} are two. What it does is done at once or not at all. */
export interface GreylistStore {
  /**
   * Notes a try.
   *
   * @param now milliseconds since 1970
   * @returns how many mails of the triple were let in, this one included; 0 where it is put off
   */
  check(triple: Triple, now: number, rules: Rules): Promise<number>;
  /** Removes what is over. @returns how many triples */
  clean(now: number, rules: Rules): Promise<number>;
  /** Lets go of files and connections. */
  close(): Promise<void>;
}

/** A digest of a text, or of several; no two give the same. */
export function digestOf(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) {
    const bytes = encodeBytes(text);
    // the length keeps ['ab', 'c'] from being ['a', 'bc']
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest('base64url');
}
