/** The day in an SRS address: its number modulo 1,024, in two characters of base32 (RFC 4648's alphabet). */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const DAY_MS = 86_400_000;
const MODULUS = 1024;
const BITS = 5;

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) % MODULUS;

/** @param ms milliseconds since 1970 */
export function timestamp(ms: number): string {
  const day = dayOf(ms);
  return `${ALPHABET[day >> BITS]}${ALPHABET[day & (ALPHABET.length - 1)]}`;
}

/**
 * Days since a timestamp was written; a day that is still to come is -1, for clocks of several hosts differ around
 * midnight. Letter case does not count.
 *
 * @returns undefined for what is not a timestamp
 */
export function age(text: string, ms: number): number | undefined {
  const [high, low] = [...text.toUpperCase()].map((character) => ALPHABET.indexOf(character));
  if (text.length !== 2 || high === undefined || low === undefined || high < 0 || low < 0) return undefined;
  const days = (dayOf(ms) - ((high << BITS) | low) + MODULUS) % MODULUS;
  return days === MODULUS - 1 ? -1 : days;
}
