/** A sender's line in an access map. */
import { checkText, checkWord } from '../internal/validate.js';
import { foldKey } from './entries.js';

/** What {@link MTAPolicy} needs of an `AccessMap`; a test may bring another. */
export interface PolicyMap {
  /** Stands between a prefix and what follows it. */
  readonly separator: ':' | '!';
  /** The value of a key, or null. */
  get(key: string): string | null;
}

/** Characters in the longest domain (RFC 1035 2.3.4). What is longer is none, and its many parents are not looked up. */
const MAX_DOMAIN_LENGTH = 255;

/** The address in `<address>`, and without a source route (`@a,@b:user@domain`, RFC 5321 appendix C). */
function bare(sender: string): string {
  const trimmed = sender.trim();
  const address = trimmed.startsWith('<') && trimmed.endsWith('>') ? trimmed.slice(1, -1) : trimmed;
  return address.startsWith('@') ? address.slice(address.indexOf(':') + 1) : address;
}

/** The domain of an address, without a final dot; '' where it has none. */
function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  const domain = at < 0 ? '' : address.slice(at + 1);
  return domain.endsWith('.') ? domain.slice(0, -1) : domain;
}

/** What a sender is looked up as, in this order: the address, its domain, `.parent` for each domain above it, nothing. */
function namesOf(sender: string): string[] {
  const address = foldKey(bare(sender));
  const domain = domainOf(address);
  const names = address === '' ? [] : [address];
  if (domain !== '' && domain.length <= MAX_DOMAIN_LENGTH) {
    names.push(domain);
    // an address literal, [192.0.2.1], has no parents
    const last = domain.startsWith('[') ? -1 : domain.length;
    for (let dot = domain.indexOf('.'); dot >= 0 && dot < last; dot = domain.indexOf('.', dot + 1)) {
      names.push(domain.slice(dot));
    }
  }
  return [...names, ''];
}

/**
 * What the access map says about one sender (pymilter's `MTAPolicy`). Made for each message; costs nothing to speak of.
 *
 * ```text
 * SPF-Fail:alice@example.com   OK        the address
 * SPF-Fail:example.com         REJECT    its domain
 * SPF-Fail:.example.com        OK        domains below example.com
 * SPF-Fail:                    REJECT    everyone else
 * ```
 *
 * The first that is there counts. Letter case does not, in prefixes, addresses and domains alike.
 */
export class MTAPolicy {
  readonly #map: PolicyMap;
  readonly #names: readonly string[];

  /**
   * @param sender the sender as `envfrom` gets it, with or without `<>`; '' or '<>' is the null sender, to whom only bare
   *   prefixes apply
   * @param map the access map
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a sender that is not a string
   */
  constructor(sender: string, map: PolicyMap) {
    checkText('MTAPolicy: sender', sender);
    this.#map = map;
    this.#names = namesOf(sender);
  }

  /**
   * The value of the first key that the map has: `prefix:address`, `prefix:domain`, `prefix:.parent`..., `prefix:`, `prefix`.
   *
   * @param prefix such as `SPF-Fail`; a separator at its end is allowed and makes no difference
   * @returns the value as it stands in the map, such as `OK`, `REJECT` or `ERROR:"550 no"`, or null where there is none
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a prefix that is empty or not a string
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
