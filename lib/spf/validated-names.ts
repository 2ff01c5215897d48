/** The validated names of the client: those of its PTR records that resolve to its address (RFC 7208 5.5). */
import { validDnsName } from '../dns/names.js';
import type { Client } from './client.js';
import type { Lookups } from './lookups.js';
import { isWithin } from './names.js';
import { SpfError } from './spf-error.js';

/** The macro `p` if there is no validated name (RFC 7208 7.3). */
const UNKNOWN = 'unknown';

/** A name in a PTR record that can be that of a host: one without escapes. */
const hostName = (name: string) => (/[\s\\]/.test(name) ? undefined : validDnsName(name));

export class ValidatedNames {
  readonly #client: Client;
  readonly #lookups: Lookups;
  readonly #limit: number;
  #names: readonly string[] | undefined;

  /** @param limit the maximum number of names to check */
  constructor(client: Client, lookups: Lookups, limit: number) {
    this.#client = client;
    this.#lookups = lookups;
    this.#limit = limit;
  }

  /** Whether one of the names is the domain or a subdomain of it. @throws SpfError if the deadline has passed */
  async anyWithin(domain: string): Promise<boolean> {
    return (await this.#all()).some((name) => isWithin(name, domain));
  }

  /** The value of the macro `p`: the domain itself, a subdomain, any name, or "unknown". @throws SpfError if the deadline has passed */
  async forMacro(domain: string): Promise<string> {
    const names = await this.#all();
    const same = names.find((name) => name.toLowerCase() === domain.toLowerCase());
    return same ?? names.find((name) => isWithin(name, domain)) ?? names[0] ?? UNKNOWN;
  }

  /** Looked up once per check. Void lookups are not counted here, because the domain has no influence on them. */
  async #all(): Promise<readonly string[]> {
    this.#names ??= await this.#lookUp();
    return this.#names;
  }

  async #lookUp(): Promise<string[]> {
    const names = await this.#emptyOnError(this.#lookups.names(this.#client.text));
    const first = names.slice(0, this.#limit).map(hostName);
    const checked = first.map((name) => (name === undefined ? undefined : this.#isConfirmed(name)));
    const confirmed = await Promise.all(checked);
    return first.filter((name, at): name is string => name !== undefined && confirmed[at] === true);
  }

  async #isConfirmed(name: string): Promise<boolean> {
    const addresses = this.#lookups.addresses(name, this.#client.family, 'other');
    return this.#client.isOneOf(await this.#emptyOnError(addresses));
  }

  /** A DNS failure means that there is no name; it does not end the check. */
  async #emptyOnError<T>(lookup: Promise<readonly T[]>): Promise<readonly T[]> {
    try {
      return await lookup;
    } catch (error) {
      if (!(error instanceof SpfError)) throw error;
      this.#lookups.checkTime();
      return [];
    }
  }
}
