/** The look-ups of one check, counted (RFC 7208 4.6.4). */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type Deadline, inTime } from '../dns/deadline.js';
import type { IpAddress } from '../utils/ip.js';
import type { Settings } from './settings.js';
import { SpfError } from './spf-error.js';
import { quoted } from './text.js';
import type { SpfResolver } from './types.js';

/** What DNS has; `nothing` where there is no such name, or no such record. */
interface Found<T> {
  readonly records: readonly T[];
  readonly nothing: 'ENOTFOUND' | 'ENODATA' | null;
}

export type Family = 'ipv4' | 'ipv6';

/** Who asks: what a term asks about names of its domain counts as void where there is nothing; the rest does not. */
type Asker = 'term' | 'other';

export class Lookups {
  readonly #resolver: SpfResolver;
  readonly #settings: Settings;
  readonly #deadline: Deadline;
  #terms = 0;
  #voids = 0;
  /** Whether the present term has been counted as one that DNS has nothing for. */
  #isVoid = false;

  /** @param deadline ends all waiting */
  constructor(resolver: SpfResolver, settings: Settings, deadline: Deadline) {
    this.#resolver = resolver;
    this.#settings = settings;
    this.#deadline = deadline;
  }

  /** Terms that were begun. */
  get terms(): number {
    return this.#terms;
  }

  /** A term that needs DNS is evaluated now. @throws SpfError permerror where it is one too many */
  begin(term: string): void {
    const { maxLookups } = this.#settings;
    if (this.#terms >= maxLookups) {
      throw new SpfError(
        'permerror',
        `more than ${maxLookups} terms that need DNS (maxLookups): ${quoted(term)}`,
      );
    }
    this.#terms++;
    this.#isVoid = false;
  }

  /** The TXT records of a name, their strings joined (RFC 7208 3.3). */
  async texts(name: string): Promise<string[]> {
    const { records } = await this.#ask('TXT', name, () => this.#resolver.resolveTxt(name));
    return records.map((strings) => strings.join(''));
  }

  /** The mail servers of a name, the best first. */
  async exchangers(name: string): Promise<string[]> {
    const found = await this.#ask('MX', name, () => this.#resolver.resolveMx(name));
    this.#count(found, 'term');
    return [...found.records]
      .sort((one, other) => one.priority - other.priority)
      .map(({ exchange }) => exchange);
  }

  /** The addresses of a name. */
  async addresses(name: string, family: Family, asker: Asker = 'term'): Promise<IpAddress[]> {
    const found =
      family === 'ipv4'
        ? await this.#ask('A', name, () => this.#resolver.resolve4(name))
        : await this.#ask('AAAA', name, () => this.#resolver.resolve6(name));
    // A host that has only IPv4 is not one that is not there. Were it counted, domains with some such hosts would be a
    // permerror for their clients with IPv6, and what these send be lost.
    const onlyIpv4 = family === 'ipv6' && found.nothing === 'ENODATA';
    if (!onlyIpv4) this.#count(found, asker);
    return found.records.filter((text) => isIP(text) !== 0).map((text) => ipaddr.parse(text));
  }

  /** The names that the owner of an address gives it. */
  async names(ip: string): Promise<readonly string[]> {
    return (await this.#ask('PTR', ip, () => this.#resolver.reverse(ip))).records;
  }

  /** @throws SpfError temperror where the time is up */
  checkTime(): void {
    if (!this.#deadline.signal.aborted) return;
    const { maxTime } = this.#settings;
    const why = this.#deadline.passed ? `it took longer than ${maxTime} ms (maxTime)` : 'it was given up';
    throw new SpfError('temperror', why);
  }

  /** A term counts once, however many of its names are void: the RFC limits terms. */
  #count({ nothing }: Found<unknown>, asker: Asker): void {
    if (nothing === null || asker === 'other' || this.#isVoid) return;
    const { maxVoidLookups } = this.#settings;
    this.#isVoid = true;
    this.#voids++;
    if (this.#voids <= maxVoidLookups) return;
    throw new SpfError('permerror', `DNS has nothing for more than ${maxVoidLookups} terms (maxVoidLookups)`);
  }

  async #ask<T>(type: string, name: string, query: () => Promise<T[]>): Promise<Found<T>> {
    this.checkTime();
    try {
      const records = await inTime(query(), this.#deadline.signal);
      this.checkTime();
      if (records === undefined || records.length === 0) return { records: [], nothing: 'ENODATA' };
      return { records, nothing: null };
    } catch (error) {
      if (error instanceof SpfError) throw error;
      this.checkTime();
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error; // a mistake in a resolver, and not an answer
      if (code === 'ENOTFOUND' || code === 'ENODATA') return { records: [], nothing: code };
      if (code === 'EBADNAME') return { records: [], nothing: null }; // nothing was asked
      throw new SpfError('temperror', `DNS has no answer now about ${type} of ${quoted(name)} (${code})`);
    }
  }
}
