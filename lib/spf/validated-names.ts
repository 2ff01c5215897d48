/** The client's names by its own zone, as far as they lead back to it (RFC 7208 5.5). */
import { askableName } from '../dns/names.js';
import type { Client } from './client.js';
import type { Lookups } from './lookups.js';
import { isWithin } from './names.js';
import { SpfError } from './spf-error.js';

/** What macro `p` is where there is no name (RFC 7208 7.3). */
const UNKNOWN = 'unknown';

export class ValidatedNames {
  readonly #client: Client;
  readonly #lookups: Lookups;
  readonly #limit: number;
  #names: readonly string[] | undefined;

  /** @param limit how many names are looked at */
  constructor(client: Client, lookups: Lookups, limit: number) {
    this.#client = client;
    this.#lookups = lookups;
    this.#limit = limit;
  }

  /** Whether one of the names is the domain or below it. @throws SpfError where the time is up */
  async anyWithin(domain: string): Promise<boolean> {
    return (await this.#all()).some((name) => isWithin(name, domain));
  }

  /** The domain itself, a name below it, any name, or "unknown". @throws SpfError where the time is up */
  async best(domain: string): Promise<string> {
    const names = await this.#all();
    const same = names.find((name) => name.toLowerCase() === domain.toLowerCase());
    return same ?? names.find((name) => isWithin(name, domain)) ?? names[0] ?? UNKNOWN;
  }

  /** They are looked up once for a check. What is void there is not counted: it is the client's doing, not the domain's. */
  async #all(): Promise<readonly string[]> {
    this.#names ??= await this.#lookUp();
    return this.#names;
  }

  async #lookUp(): Promise<string[]> {
    const names = await this.#orNothing(this.#lookups.names(this.#client.text));
    const first = names.slice(0, this.#limit).map(askableName);
    const checked = first.map((name) => (name === undefined ? undefined : this.#leadsBack(name)));
    const leadBack = await Promise.all(checked);
    return first.filter((name, at): name is string => name !== undefined && leadBack[at] === true);
  }

  async #leadsBack(name: string): Promise<boolean> {
    const addresses = this.#lookups.addresses(name, this.#client.family, 'other');
    return this.#client.isAmong(await this.#orNothing(addresses));
  }

  /** A failure of DNS is no name here, not an error of the check. */
  async #orNothing<T>(lookup: Promise<readonly T[]>): Promise<readonly T[]> {
    try {
      return await lookup;
    } catch (error) {
      if (!(error instanceof SpfError)) throw error;
      this.#lookups.checkTime();
      return [];
    }
  }
}
