/** The tag of an address signed with BATV's `prvs` scheme (draft-levine-smtp-batv-01). */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { foldText, localPartSpellings } from './spellings.js';

/** A signed address, taken apart. */
export interface BatvParts {
  /** The number of the key, 0 to 9. */
  readonly key: number;
  /** The last day on which the address is valid, modulo 1,000, in three digits. */
  readonly day: string;
  /** Six hexadecimal digits, in the letter case in which they were received. */
  readonly hash: string;
  /** The address that was signed. */
  readonly original: string;
}

const DAY_MS = 86_400_000;
const MODULUS = 1000;
const HASH_LENGTH = 6;
/** A local part in quotes has its tag inside of them: `"prvs=0123abcdef=jo smith"@example.com`. */
const SIGNED = /^("?)prvs=([0-9])([0-9]{3})([0-9a-f]{6})=(.+)$/is;

/** @returns undefined for an address that has no tag, or one of another form */
export function readBatv(address: string): BatvParts | undefined {
  const [, quote = '', key = '', day = '', hash = '', rest = ''] = SIGNED.exec(address) ?? [];
  return key === '' ? undefined : { key: Number(key), day, hash, original: quote + rest };
}

/** Signs an address without angle brackets. @param ms a moment of the last day, in milliseconds since 1970 */
export function writeBatv(original: string, key: number, secret: string, ms: number): string {
  const day = String(dayOf(ms)).padStart(3, '0');
  const tag = `prvs=${key}${day}${hashOf(secret, key, day, canonical(original))}=`;
  return original.startsWith('"') ? `"${tag}${original.slice(1)}` : tag + original;
}

/**
 * Whether the address was signed with this secret: in its canonical spelling, because receivers change the letter case and
 * unnecessary quotes, or as it is written, which is what other implementations sign. Comparing takes the same time whatever
 * the digits are.
 */
export function isBatvAuthentic({ key, day, hash, original }: BatvParts, secret: string): boolean {
  const given = Buffer.from(hash.toLowerCase());
  const matches = [canonical(original), original].map((spelling) =>
    timingSafeEqual(given, Buffer.from(hashOf(secret, key, day, spelling))),
  );
  return matches.includes(true);
}

/** Days from now to the last day, 0 to 999. A day in the past appears to be far ahead. */
export function batvDaysLeft({ day }: BatvParts, now: number): number {
  return (Number(day) - dayOf(now) + MODULUS) % MODULUS;
}

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) % MODULUS;

function hashOf(secret: string, key: number, day: string, address: string): string {
  return createHmac('sha1', secret).update(`${key}${day}${address}`).digest('hex').slice(0, HASH_LENGTH);
}

function canonical(address: string): string {
  const at = address.lastIndexOf('@');
  if (at < 0) return foldText(address);
  const [local] = localPartSpellings(address.slice(0, at));
  return `${local}@${foldText(address.slice(at + 1))}`;
}
