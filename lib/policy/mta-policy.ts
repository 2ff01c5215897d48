/** Looks up senders in an access map. */
import { checkText, checkWord } from '../internal/validate.js';
import { domainSpellings, localPartSpellings } from '../utils/spellings.js';

/** The part of an `AccessMap` that {@link MTAPolicy} uses. Tests can pass another object. */
export interface PolicyMap {
  /** The separator between a prefix and the rest of a key. */
  readonly separator: ':' | '!';
  /** The value of a key, or null if there is none. */
  get(key: string): string | null;
}

/** The maximum length of a domain (RFC 1035 2.3.4). The parents of longer names are not looked up. */
const MAX_DOMAIN_LENGTH = 255;

/** Removes angle brackets and a source route (`@a,@b:user@domain`, RFC 5321 appendix C) from an address. */
function bare(sender: string): string {
  const trimmed = sender.trim();
  const address = trimmed.startsWith('<') && trimmed.endsWith('>') ? trimmed.slice(1, -1) : trimmed;
  return address.startsWith('@') ? address.slice(address.indexOf(':') + 1) : address;
}

/**
 * The keys under which a sender is looked up, in order: the address, its domain, `.parent` for each parent domain, and ''. Each of
 * them in all its spellings, so that a policy cannot be escaped by writing an address in another way.
 */
function namesOf(sender: string): string[] {
  const address = bare(sender);
  if (address === '') return [''];
  const at = address.lastIndexOf('@');
  const locals = localPartSpellings(at < 0 ? address : address.slice(0, at));
  const domain = at < 0 ? '' : address.slice(at + 1);
  if (domain.length > MAX_DOMAIN_LENGTH) return [...locals.map((local) => `${local}@${domain}`), ''];
  const domains = domainSpellings(domain).filter((name) => name !== '');
  if (domains.length === 0) return [...locals.map((local) => (at < 0 ? local : `${local}@`)), ''];
  const addresses = locals.flatMap((local) => domains.map((name) => `${local}@${name}`));
  return [...addresses, ...domains, ...parentsOf(domains), ''];
}

/** `.example.com` and `.com` for mail.example.com, in each spelling, the longest first. */
function parentsOf(domains: readonly string[]): string[] {
  const [first = ''] = domains;
  // An address literal such as [192.0.2.1] has no parent domains.
  if (first.startsWith('[')) return [];
  const labels = domains.map((domain) => domain.split('.'));
  const parents: string[] = [];
  for (let level = 1; level < Math.max(...labels.map(({ length }) => length)); level++) {
    for (const parts of labels) {
      if (level < parts.length) parents.push(`.${parts.slice(level).join('.')}`);
    }
  }
  return [...new Set(parents)];
}

/**
 * The policies of an access map for one sender (pymilter's `MTAPolicy`). Create one for each message; it is cheap.
 *
 * ```text
 * SPF-Fail:alice@example.com   OK        the address
 * SPF-Fail:example.com         REJECT    its domain
 * SPF-Fail:.example.com        OK        subdomains of example.com
 * SPF-Fail:                    REJECT    all other senders
 * ```
 *
 * The first matching key is used. Prefixes, addresses and domains are not case-sensitive. Internationalised domains match in
 * Unicode and in ASCII (`münchen.example` and `xn--mnchen-3ya.example`), whichever of them the map has; unnecessary quotes around
 * the user and a dot after the domain do not matter.
 */
export class MTAPolicy {
  readonly #map: PolicyMap;
  readonly #names: readonly string[];

  /**
   * @param sender the sender as passed to `envfrom`, with or without `<>`; for the null sender, '' or '<>', only prefixes without
   *   an address apply
   * @param map the access map
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if the sender is not a string
   */
  constructor(sender: string, map: PolicyMap) {
    checkText('MTAPolicy: sender', sender);
    this.#map = map;
    this.#names = namesOf(sender);
  }

  /**
   * The value of the first of these keys in the map: `prefix:address`, `prefix:domain`, `prefix:.parent`..., `prefix:`, `prefix`.
   *
   * @param prefix such as `SPF-Fail`, with or without a separator at its end
   * @returns the value in the map, such as `OK`, `REJECT` or `ERROR:"550 no"`, or null if there is none
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if the prefix is empty or not a string
   */
  getPolicy(prefix: string): string | null {
    checkWord('getPolicy: prefix', prefix);
    const { separator } = this.#map;
    const word = prefix.endsWith(separator) ? prefix.slice(0, -1) : prefix;
    for (const name of this.#names) {
      const value = this.#map.get(`${word}${separator}${name}`);
      if (value !== null) return value;
    }
    return this.#map.get(word);
  }
}
