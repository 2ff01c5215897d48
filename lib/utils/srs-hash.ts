/** The hash in an SRS address: the first characters of a base64 HMAC-SHA1, over text in lower case. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Shorter hashes are guessed: two characters in 4,096 tries, or fewer if letter case is ignored. */
export const MIN_HASH_LENGTH = 4;

/** @param parts what is protected; they are put together without separators, as every implementation does */
export function hash(secret: string, length: number, ...parts: readonly string[]): string {
  const mac = createHmac('sha1', secret);
  for (const part of parts) mac.update(part.toLowerCase(), 'utf8');
  return mac.digest('base64').slice(0, length);
}

/**
 * Whether a hash was made with one of the secrets. Receivers change the letter case of local parts, so it does not
 * count. Comparing takes the same time whatever the characters are, and all secrets are tried.
 */
export function isAuthentic(given: string, secrets: readonly string[], ...parts: readonly string[]): boolean {
  let authentic = false;
  for (const secret of secrets) {
    const expected = Buffer.from(hash(secret, given.length, ...parts).toLowerCase());
    const actual = Buffer.from(given.toLowerCase());
    // `given` may be longer than a hash can be, or hold other characters than base64.
    if (expected.length === actual.length && timingSafeEqual(expected, actual)) authentic = true;
  }
  return authentic;
}
