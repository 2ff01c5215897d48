/** The DNS lookups of one check, counted towards its limits (RFC 7208 4.6.4). */
import { isIP } from 'node:net';
import { dnsFailureOf } from '../dns/index.js';
import { type Deadline, untilAborted } from '../internal/deadline.js';
import { parseIp } from '../internal/parse-ip.js';
import type { IpAddress } from '../utils/ip.js';
import type { Settings } from './settings.js';
import { SpfError } from './spf-error.js';
import { quoted } from './text.js';
import type { SpfResolver } from './types.js';

/** The answer of DNS. `absence` says why there are no records: no such name, or no such record. */
interface LookupResult<T> {
  readonly records: readonly T[];
  readonly absence: 'nonexistent' | 'nodata' | null;
}

export type Family = 'ipv4' | 'ipv6';

/** Whether a lookup is made for a term, where an empty answer counts as a void lookup, or for something else. */
type Asker = 'term' | 'other';

export class Lookups {
  readonly #resolver: SpfResolver;
  readonly #settings: Settings;
  readonly #deadline: Deadline;
  #terms = 0;
  #voids = 0;
  /** Whether the current term has been counted as void. */
  #isVoid = false;

  /** @param deadline aborts the lookups */
  constructor(resolver: SpfResolver, settings: Settings, deadline: Deadline) {
    this.#resolver = resolver;
    this.#settings = settings;
    this.#deadline = deadline;
  }

  /** How many terms that need DNS have been evaluated. */
  get terms(): number {
    return this.#terms;
  }

  /** Counts a term that needs DNS before it is evaluated. @throws SpfError permerror if there are too many */
  countTerm(term: string): void {
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

  /** The TXT records of a name, each with its strings concatenated (RFC 7208 3.3). */
  async texts(name: string): Promise<string[]> {
    const { records } = await this.#ask('TXT', name, () => this.#resolver.resolveTxt(name));
    return records.map((strings) => strings.join(''));
  }

  /** The mail servers of a name, ordered by preference. */
  async exchangers(name: string): Promise<string[]> {
    const found = await this.#ask('MX', name, () => this.#resolver.resolveMx(name));
    this.#countVoid(found, 'term');
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
    // A host with only IPv4 addresses exists, so it is not counted as void. Otherwise domains with several such hosts would
    // give a permerror to all their clients that use IPv6.
    const onlyIpv4 = family === 'ipv6' && found.absence === 'nodata';
    if (!onlyIpv4) this.#countVoid(found, asker);
    return found.records.filter((text) => isIP(text) !== 0).map(parseIp);
  }

  /** The names in the PTR records of an address. They are not confirmed. */
  async names(ip: string): Promise<readonly string[]> {
    return (await this.#ask('PTR', ip, () => this.#resolver.reverse(ip))).records;
  }

  /** @throws SpfError temperror if the deadline has passed */
  checkTime(): void {
    if (!this.#deadline.signal.aborted) return;
    const { maxTime } = this.#settings;
    const why = this.#deadline.passed
      ? `the check took longer than ${maxTime} ms (maxTime)`
      : 'the check was aborted';
    throw new SpfError('temperror', why);
  }

  /** Counts a term once, however many of its lookups are void, because RFC 7208 limits terms. */
  #countVoid({ absence }: LookupResult<unknown>, asker: Asker): void {
    if (absence === null || asker === 'other' || this.#isVoid) return;
    const { maxVoidLookups } = this.#settings;
    this.#isVoid = true;
    this.#voids++;
    if (this.#voids <= maxVoidLookups) return;
    throw new SpfError(
      'permerror',
      `DNS has no records for more than ${maxVoidLookups} terms (maxVoidLookups)`,
    );
  }

  async #ask<T>(type: string, name: string, query: () => Promise<T[]>): Promise<LookupResult<T>> {
    this.checkTime();
    try {
      const records = await untilAborted(query(), this.#deadline.signal);
      this.checkTime();
      if (records === undefined || records.length === 0) return { records: [], absence: 'nodata' };
      return { records, absence: null };
    } catch (error) {
      if (error instanceof SpfError) throw error;
      this.checkTime();
      const failure = dnsFailureOf(error);
      if (failure === undefined) throw error; // a programming error in a custom resolver
      const { code } = error as { code: string };
      if (code === 'EBADNAME') return { records: [], absence: null }; // no question was sent
      if (failure === 'nonexistent' || failure === 'nodata') return { records: [], absence: failure };
      const result = failure === 'permanent' ? 'permerror' : 'temperror';
      throw new SpfError(result, `DNS lookup of ${type} for ${quoted(name)} failed (${code})`);
    }
  }
}
