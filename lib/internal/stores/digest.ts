/** Digests of untrusted text, which have the same length for all texts. */
import { createHash } from 'node:crypto';
import { encodeBytes } from '../bytes.js';

/** A digest of one or several texts: 43 characters. */
export function digestOf(...texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) {
    const bytes = encodeBytes(text);
    // With its length, ['ab', 'c'] and ['a', 'bc'] have different digests.
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest('base64url');
}
