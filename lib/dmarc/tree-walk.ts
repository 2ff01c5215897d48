/** Policy records in DNS, and the way up the tree to them (RFC 9989 4.10). */
import type { TxtResolver } from '../dkim/index.js';
import { dnsFailureOf } from '../dns/index.js';
import { type DmarcRecord, parseDmarcRecord } from './record.js';

/** A walk asks for so many names at most (4.10). */
const MAX_QUERIES = 8;
/** Characters of a record, and TXT records of a name, that are looked at. */
const MAX_RECORD = 8192;
const MAX_RECORDS = 64;

/**
 * DNS has not told what had to be known. That a limit of questions was reached is no other case: the sender, who has caused them, must
 * not make the policy of another domain disappear.
 */
export class DnsUnanswered extends Error {}

/** A record, and the domain that has published it. */
export interface PublishedRecord {
  readonly domain: string;
  readonly record: DmarcRecord;
}

/** What a walk has found. */
export interface Walk {
  /** The organizational domain of the domain where it started (4.10.2). */
  readonly organizationalDomain: string;
  /** From the longest name to the shortest. */
  readonly records: readonly PublishedRecord[];
}

/** The policy records that one message needs. Each name is asked for once. */
export class PolicyRecords {
  readonly #resolver: TxtResolver;
  readonly #asked = new Map<string, Promise<DmarcRecord | undefined>>();

  constructor(resolver: TxtResolver) {
    this.#resolver = resolver;
  }

  /**
   * The record of a domain.
   *
   * @throws DnsUnanswered
   */
  get(domain: string): Promise<DmarcRecord | undefined> {
    let record = this.#asked.get(domain);
    if (!record) {
      record = this.#ask(domain);
      this.#asked.set(domain, record);
    }
    return record;
  }

  /**
   * Walks from a domain up to the root, or to a record that says where to stop.
   *
   * @throws DnsUnanswered
   */
  async walk(domain: string): Promise<Walk> {
    const records: PublishedRecord[] = [];
    for (const target of targetsOf(domain)) {
      const record = await this.get(target);
      if (record) records.push({ domain: target, record });
      if (record && record.psd !== 'u') break;
    }
    return { organizationalDomain: organizationalDomain(domain, records), records };
  }

  /**
   * Whether a domain exists: whether DNS has any record of it or below it (4.7 and A.4).
   *
   * @throws DnsUnanswered
   */
  async exists(domain: string): Promise<boolean> {
    return (await this.#texts(domain)) !== 'nonexistent';
  }

  /**
   * The TXT records of a name; none if there is no such name.
   *
   * @throws DnsUnanswered
   */
  async texts(name: string): Promise<string[]> {
    const texts = await this.#texts(name);
    return typeof texts === 'string'
      ? []
      : texts.slice(0, MAX_RECORDS).filter(({ length }) => length <= MAX_RECORD);
  }

  async #ask(domain: string): Promise<DmarcRecord | undefined> {
    const texts = await this.texts(`_dmarc.${domain}`);
    const records = texts.flatMap((text) => parseDmarcRecord(text) ?? []);
    // Several records are none (4.10, step 2).
    return records.length === 1 ? records[0] : undefined;
  }

  async #texts(name: string): Promise<string[] | 'nonexistent' | 'nodata'> {
    try {
      return (await this.#resolver.resolveTxt(name)).map((strings) => strings.join(''));
    } catch (error) {
      const failure = dnsFailureOf(error);
      if (failure === 'nonexistent' || failure === 'nodata') return failure;
      const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown };
      throw new DnsUnanswered(`DNS: ${String(message ?? code)}`);
    }
  }
}

/** The names of a walk: the domain, then its parents, of which those with more than seven labels are passed over (4.10). */
export function targetsOf(domain: string): string[] {
  const labels = domain.split('.');
  const first = Math.max(1, labels.length - (MAX_QUERIES - 1));
  const parents = labels.slice(first).map((_, at) => labels.slice(first + at).join('.'));
  return [domain, ...parents];
}

/** RFC 9989 4.10.2. The walk has stopped at the first record with `psd=y` or `psd=n`, which is the last of these. */
function organizationalDomain(start: string, records: readonly PublishedRecord[]): string {
  const last = records[records.length - 1];
  if (!last) return start;
  if (last.record.psd === 'y' && last.domain !== start) return childToward(start, last.domain);
  return last.domain;
}

/** The name one label below a parent, on the way to a domain. */
function childToward(domain: string, parent: string): string {
  const count = parent.split('.').length + 1;
  return domain.split('.').slice(-count).join('.');
}
