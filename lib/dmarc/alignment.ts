/** Whether authenticated domains are aligned with the author's (RFC 9989 4.4 and 4.10.2). */
import { domainNameOf, isWithin } from '../dkim/domain.js';
import type { DmarcAlignment } from './record.js';
import type { PolicyRecords } from './tree-walk.js';

export class Alignment {
  readonly #records: PolicyRecords;
  readonly #author: string;
  /** The organizational domain of the author's, once it had to be known. */
  organizationalDomain: string | undefined;

  constructor(records: PolicyRecords, author: string) {
    this.#records = records;
    this.#author = author;
  }

  /**
   * Whether one of several domains is aligned with the author's.
   *
   * @throws DnsUnanswered if none is known to be aligned, and one may be
   */
  async some(domains: readonly string[], mode: DmarcAlignment): Promise<boolean> {
    const known = new Set(domains.flatMap((domain) => domainNameOf(domain) ?? []));
    if (known.has(this.#author)) return true;
    if (mode === 's') return false;
    let unanswered: unknown;
    for (const domain of known) {
      try {
        if (await this.#isRelaxed(domain)) return true;
      } catch (error) {
        unanswered ??= error;
      }
    }
    if (unanswered) throw unanswered;
    return false;
  }

  /** Domains below the same organizational domain only are walked up from, so that signatures of others cost no questions. */
  async #isRelaxed(domain: string): Promise<boolean> {
    if (topOf(domain) !== topOf(this.#author)) return false;
    this.organizationalDomain ??= (await this.#records.walk(this.#author)).organizationalDomain;
    if (!isWithin(domain, this.organizationalDomain)) return false;
    return (await this.#records.walk(domain)).organizationalDomain === this.organizationalDomain;
  }
}

const topOf = (domain: string): string => domain.slice(domain.lastIndexOf('.') + 1);
