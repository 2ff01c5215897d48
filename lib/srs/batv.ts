/**
 * Bounce Address Tag Validation (draft-levine-smtp-batv-01): a site signs the envelope senders of its own mail. A bounce to an
 * address without a valid signature refers to mail that the site has never sent.
 *
 *     prvs=KDDDSSSSSS=local@domain        K number of the key, DDD last day, SSSSSS signature
 */
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { batvDaysLeft, isBatvAuthentic, readBatv, writeBatv } from '../utils/batv-tag.js';
import { parseAddr } from '../utils/index.js';
import { domainSpellings } from '../utils/spellings.js';
import type { SrsReversed } from './srs.js';

/** How addresses are signed. */
export interface BatvOptions {
  /** The secret of each key by its number, 0 to 9. Addresses that were signed with any of them are accepted. */
  readonly keys: Readonly<Record<number, string>>;
  /** The number of the key that signs. Default: the only key; with several keys it has to be given. */
  readonly signWith?: number;
  /** The site's own domains, in Unicode or ASCII. Addresses of other domains are neither signed nor judged. */
  readonly domains: readonly string[];
  /** Days that an address is valid, 1 to 400. Default: 7. */
  readonly maxAge?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

/** What a recipient's address turns out to be; the results are those of SRS. */
export type BatvVerified = SrsReversed;

const OPTIONS: OptionNames<BatvOptions> = {
  keys: true,
  signWith: true,
  domains: true,
  maxAge: true,
  now: true,
};

const DAY_MS = 86_400_000;
const MAX_AGE_DAYS = 7;
/** With days modulo 1,000, an address that is valid for longer could not be told from one that has expired. */
const MAX_MAX_AGE_DAYS = 400;
/** Clocks of several hosts differ around midnight. */
const CLOCK_SKEW_DAYS = 1;
const MAX_KEY_NUMBER = 9;
const TAG = /^"?prvs=/i;

/**
 * Signs envelope senders, and verifies them when a bounce arrives.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option. No address makes it throw.
 */
export class Batv {
  readonly #keys: ReadonlyMap<number, string>;
  readonly #signWith: number;
  readonly #domains: ReadonlySet<string>;
  readonly #maxAge: number;
  readonly #now: () => number;

  constructor(options: BatvOptions) {
    checkOptions('Batv', options, OPTIONS);
    this.#keys = readKeys(options.keys);
    this.#signWith = signingKey(this.#keys, options.signWith);
    this.#domains = readDomains(options.domains);
    this.#maxAge = options.maxAge ?? MAX_AGE_DAYS;
    checkInteger('Batv: maxAge', this.#maxAge, 1, MAX_MAX_AGE_DAYS);
    this.#now = options.now ?? Date.now;
  }

  /**
   * The envelope sender for a message that leaves the site.
   *
   * @param address with or without angle brackets; the answer is in the same form
   * @returns the address itself if it must not be signed: the null sender, one of another domain, or one that has a tag
   */
  sign(address: string): string {
    const bare = withoutBrackets(address);
    if (TAG.test(bare) || !this.#isOurs(bare)) return address;
    const secret = this.#keys.get(this.#signWith) as string;
    const lastDay = this.#now() + this.#maxAge * DAY_MS;
    return inFormOf(address, writeBatv(bare, this.#signWith, secret, lastDay));
  }

  /**
   * Whether a recipient's address has been signed here, and its last day has not passed.
   *
   * @param address with or without angle brackets; the answer is in the same form
   * @returns `ok` with the original address; `none` for an address without a tag or of another domain; `forged`; `expired`
   */
  verify(address: string): BatvVerified {
    const bare = withoutBrackets(address);
    if (!TAG.test(bare) || !this.#isOurs(bare)) return { result: 'none' };
    const parts = readBatv(bare);
    if (!parts) return { result: 'forged' };
    const secret = this.#keys.get(parts.key);
    if (secret === undefined || !isBatvAuthentic(parts, secret)) return { result: 'forged' };
    const daysLeft = batvDaysLeft(parts, this.#now());
    if (daysLeft > this.#maxAge + CLOCK_SKEW_DAYS) return { result: 'expired' };
    return { result: 'ok', address: inFormOf(address, parts.original) };
  }

  /** Source routes are not signed: the part before the last `@` would not be a local part. */
  #isOurs(bare: string): boolean {
    const [local, domain] = parseAddr(bare);
    if (bare.startsWith('@') || local === '' || domain === undefined) return false;
    return domainSpellings(domain).some((spelling) => this.#domains.has(spelling));
  }
}

function readKeys(keys: BatvOptions['keys']): ReadonlyMap<number, string> {
  if (typeof keys !== 'object' || keys === null) throw bad('keys must be an object of secrets by number');
  const read = new Map(Object.entries(keys).map(([number, secret]) => [Number(number), secret]));
  if (read.size === 0) throw bad('keys must have at least one key');
  for (const [number, secret] of read) {
    checkInteger('Batv: the number of a key', number, 0, MAX_KEY_NUMBER);
    if (typeof secret !== 'string' || secret === '') throw bad(`key ${number} must be a string, not empty`);
  }
  return read;
}

function signingKey(keys: ReadonlyMap<number, string>, chosen: number | undefined): number {
  const number = chosen ?? (keys.size === 1 ? [...keys.keys()][0] : undefined);
  if (number === undefined) throw bad('signWith must tell which of the keys signs');
  if (!keys.has(number)) throw bad(`signWith is ${String(number)}, which is not the number of a key`);
  return number;
}

function readDomains(domains: readonly string[]): ReadonlySet<string> {
  const valid = (name: unknown) => typeof name === 'string' && /^[^\s@<>]+$/.test(name);
  if (!Array.isArray(domains) || domains.length === 0 || !domains.every(valid)) {
    throw bad('domains must be an array of at least one domain name');
  }
  return new Set(domains.flatMap(domainSpellings));
}

const isBracketed = (address: string): boolean => address.startsWith('<') && address.endsWith('>');

function withoutBrackets(address: string): string {
  return isBracketed(address) ? address.slice(1, -1) : address;
}

function inFormOf(like: string, address: string): string {
  return isBracketed(like) ? `<${address}>` : address;
}

const bad = (message: string) => badArgument(`Batv: ${message}`);
