/**
 * The Sender Rewriting Scheme: a forwarder puts its own domain into the envelope sender, so that SPF passes, and can take
 * it out again when a bounce comes back. Addresses are those of Mail::SRS, pysrs and PostSRSd:
 *
 *     SRS0=hash=tt=domain=local@forwarder                              forwarded once
 *     SRS1=hash=first-forwarder==hash=tt=domain=local@second           and once more
 *
 * A later forwarder only replaces the SRS1 part: the address does not grow, and a bounce goes straight to the first
 * forwarder, who alone can tell whether its part is authentic, and what is in it: some keep addresses in a database, and
 * write the key of an entry.
 */
import { asciiDomain } from '../internal/a-labels.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { parseAddr } from '../utils/index.js';
import { age, timestamp } from '../utils/srs-day.js';
import { hash, isAuthentic, MIN_HASH_LENGTH } from '../utils/srs-hash.js';

/** How addresses are rewritten. */
export interface SrsOptions {
  /**
   * Secrets for the hash. The first one signs; addresses of all of them are accepted, so that a new secret is put in
   * front and the old one removed when its addresses have expired.
   */
  readonly secrets: readonly string[];
  /** The forwarder's domain, which stands behind the `@` of rewritten addresses. */
  readonly domain: string;
  /** Domains whose senders are not rewritten, in addition to `domain`: this host may send for them itself. */
  readonly ownDomains?: readonly string[];
  /** Characters of the hash. Default 4. */
  readonly hashLength?: number;
  /** Days that an address is valid. Default 21. */
  readonly maxAge?: number;
  /** What stands behind SRS0 and SRS1: `=`, `+` or `-`. Default `=`. */
  readonly separator?: '=' | '+' | '-';
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<SrsOptions> = {
  secrets: true,
  domain: true,
  ownDomains: true,
  hashLength: true,
  maxAge: true,
  separator: true,
  now: true,
};

/** What a recipient's address turns out to be. */
export type SrsReversed =
  /** The address that a bounce has to go to. */
  | { readonly result: 'ok'; readonly address: string }
  /** The address is not one of SRS, or of another domain. */
  | { readonly result: 'none' }
  /** We have not made it. */
  | { readonly result: 'forged' }
  /** We have made it, more than `maxAge` days ago. */
  | { readonly result: 'expired' };

/** A control character. */
const CONTROL = /\p{Cc}/u;
const TAG = /^SRS([01])[=+-]/i;
const TAG_LENGTH = 'SRS0'.length;
const SEPARATOR = '=';
/** HMAC-SHA1 has 20 bytes: 27 characters of base64 and one of padding. */
const MAX_HASH_LENGTH = 27;
/** Addresses longer than that are no addresses (RFC 5321 4.5.3.1.3), and are left alone. */
const MAX_ADDRESS = 320;
/** A domain, or an address in brackets: nothing that could be taken for another part of a rewritten address. */
const DOMAIN = /^[^\s"(),;<>@\\=]+$/;
const DOT_ATOM = /^[^\s"(),.:;<>@[\\\]]+(?:\.[^\s"(),.:;<>@[\\\]]+)*$/;

/**
 * Rewrites envelope senders, and back.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option. No address makes it throw.
 */
export class Srs {
  readonly #options: Required<SrsOptions>;
  readonly #own: ReadonlySet<string>;

  constructor(options: SrsOptions) {
    checkOptions('Srs', options, OPTIONS);
    this.#options = {
      ownDomains: [],
      hashLength: 4,
      maxAge: 21,
      separator: '=',
      now: Date.now,
      ...options,
    };
    const { secrets, domain, ownDomains, hashLength, maxAge, separator } = this.#options;
    checkInteger('Srs: hashLength', hashLength, MIN_HASH_LENGTH, MAX_HASH_LENGTH);
    checkInteger('Srs: maxAge', maxAge, 1, 512);
    if (secrets.length === 0 || secrets.some((secret) => typeof secret !== 'string' || secret === '')) {
      throw bad('secrets must have at least one secret, and none may be empty');
    }
    if (!/^[^\s@<>]+$/.test(domain)) throw bad('domain must be a domain name');
    if (!['=', '+', '-'].includes(separator)) throw bad('separator must be =, + or -');
    this.#own = new Set([domain, ...ownDomains].map(asciiDomain));
  }

  /**
   * The envelope sender for a forwarded message.
   *
   * @param address with or without angle brackets; the answer is in the same form
   * @returns the address itself if it must not be rewritten: the null sender, an address without a domain, one of our own, or one with a
   *   control character, which no MTA takes from a filter
   */
  forward(address: string): string {
    const { secrets, domain, hashLength, separator, now } = this.#options;
    const [local, sender] = split(address);
    if (sender === undefined || this.#own.has(asciiDomain(sender)) || CONTROL.test(address)) return address;
    const secret = secrets[0] as string;
    const again = this.#forwardedAgain(local, sender);
    if (again) {
      const [first, rest] = again;
      const mac = hash(secret, hashLength, first, rest);
      return join(address, `SRS1${separator}${mac}${SEPARATOR}${first}${SEPARATOR}${rest}`, domain);
    }
    const day = timestamp(now());
    const mac = hash(secret, hashLength, day, sender, local);
    const parts = [mac, day, sender, local].join(SEPARATOR);
    return join(address, `SRS0${separator}${parts}`, domain);
  }

  /** The first forwarder and its part, of an address that has been rewritten already. */
  #forwardedAgain(local: string, sender: string): [first: string, rest: string] | undefined {
    const tag = TAG.exec(local)?.[1];
    if (tag === '0') return local.length > TAG_LENGTH + 1 ? [sender, local.slice(TAG_LENGTH)] : undefined;
    if (tag !== '1') return undefined;
    return partsOfSrs1(local)?.slice(1) as [string, string] | undefined;
  }

  /**
   * Where mail to a rewritten address has to go: for the recipient of a bounce.
   *
   * @param address with or without angle brackets; the answer is in the same form
   */
  reverse(address: string): SrsReversed {
    const [local, domain] = split(address);
    const tag = TAG.exec(local)?.[1];
    if (
      tag === undefined ||
      domain === undefined ||
      asciiDomain(domain) !== asciiDomain(this.#options.domain)
    ) {
      return { result: 'none' };
    }
    return tag === '0' ? this.#reverseFirst(address, local) : this.#reverseAgain(address, local);
  }

  #reverseFirst(address: string, local: string): SrsReversed {
    const { secrets, maxAge, now } = this.#options;
    const parts = partsOfSrs0(local);
    if (!parts) return { result: 'forged' };
    const [mac, day, domain, user] = parts;
    if (!this.#fits(mac) || !isAuthentic(mac, secrets, day, domain, user)) return { result: 'forged' };
    const days = age(day, now());
    if (days === undefined || days > maxAge) return { result: 'expired' };
    return { result: 'ok', address: join(address, user, domain) };
  }

  #reverseAgain(address: string, local: string): SrsReversed {
    const parts = partsOfSrs1(local);
    if (!parts) return { result: 'forged' };
    const [mac, first, rest] = parts;
    if (!this.#fits(mac) || !isAuthentic(mac, this.#options.secrets, first, rest))
      return { result: 'forged' };
    return { result: 'ok', address: join(address, `SRS0${rest}`, first) };
  }

  /** A shorter hash than we write would be easier to guess. */
  #fits(mac: string): boolean {
    return mac.length >= this.#options.hashLength && mac.length <= MAX_HASH_LENGTH;
  }
}

function split(address: string): [local: string, domain: string | undefined] {
  if (address.length > MAX_ADDRESS) return [address, undefined];
  const [written, domain] = parseAddr(address);
  // The hash is of the text that the quotes mean, which is the same however it is quoted.
  const local = address.includes('"') ? written.replace(/\\(.)/gs, '$1') : written;
  return [local, local === '' || domain === undefined || !DOMAIN.test(domain) ? undefined : domain];
}

/** An address in the form of another one. A local part that is no dot-atom is quoted (RFC 5321 4.1.2). */
function join(like: string, local: string, domain: string): string {
  const written = DOT_ATOM.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
  return like.startsWith('<') ? `<${written}@${domain}>` : `${written}@${domain}`;
}

/** `SRS0=hash=tt=domain=local`; the local part may hold more of the separators. */
function partsOfSrs0(local: string): [mac: string, day: string, domain: string, user: string] | undefined {
  const [mac, day, domain, ...user] = local.slice(TAG_LENGTH + 1).split(SEPARATOR);
  if (!mac || !day || !domain || user.length === 0) return undefined;
  return [mac, day, domain, user.join(SEPARATOR)];
}

/** `SRS1=hash=first==hash=tt=domain=local`: the rest is the first forwarder's, from the separator on. */
function partsOfSrs1(local: string): [mac: string, first: string, rest: string] | undefined {
  const [mac, first, ...rest] = local.slice(TAG_LENGTH + 1).split(SEPARATOR);
  const kept = rest.join(SEPARATOR);
  if (!mac || !first || !/^[=+-]./s.test(kept)) return undefined;
  return [mac, first, kept];
}

const bad = (message: string) => badArgument(`Srs: ${message}`);
