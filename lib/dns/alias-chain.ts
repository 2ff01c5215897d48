/** Follows aliases (CNAME) and selects the records that answer a question. */
import { DnsError } from './error.js';
import type { DnsAnswer, DnsQuestion, DnsRecord } from './record-types.js';

/** The chain of aliases that a lookup has followed (RFC 1034 3.6.2). */
export class AliasChain {
  readonly #names: Set<string>;
  readonly #question: DnsQuestion;
  readonly #limit: number;
  /** The last name in the chain, whose records are requested. */
  current: string;
  /** The lowest TTL of the aliases and records so far, in seconds. What was found by an alias must not outlive it. */
  ttl: number | undefined;

  constructor(question: DnsQuestion, limit: number) {
    this.#question = question;
    this.#limit = limit;
    this.current = question.name;
    this.#names = new Set([question.name.toLowerCase()]);
  }

  /**
   * Follows the aliases in an answer.
   *
   * Only records for the requested name, or for a name that an alias has led to, are used. All others do not answer the
   * question and are ignored, because they may be forged.
   *
   * @returns the requested records; empty if the answer ends with an alias, or has no such records
   * @throws DnsError EBADRESP for a loop, ERR_MILTER_DNS_LIMIT for a chain that is too long
   */
  follow(answer: DnsAnswer): DnsRecord[] {
    for (;;) {
      const own = answer.records.filter(({ name }) => name.toLowerCase() === this.current.toLowerCase());
      const wanted = own.filter(({ type }) => type === this.#question.type);
      if (wanted.length > 0) {
        this.limitTtl(...wanted.map(({ ttl }) => ttl));
        return wanted;
      }
      const alias = own.find(({ type }) => type === 'CNAME');
      if (alias === undefined) return [];
      this.limitTtl(alias.ttl);
      this.#step(alias.data as string);
    }
  }

  limitTtl(...seconds: readonly number[]): void {
    this.ttl = Math.min(this.ttl ?? Number.POSITIVE_INFINITY, ...seconds);
  }

  #step(target: string): void {
    const { type, name } = this.#question;
    if (this.#names.has(target.toLowerCase())) {
      throw new DnsError('EBADRESP', type, name, `a loop of aliases (CNAME) at ${target}`);
    }
    if (this.#names.size > this.#limit) {
      throw new DnsError('ERR_MILTER_DNS_LIMIT', type, name, `more than ${this.#limit} aliases (maxAliases)`);
    }
    this.#names.add(target.toLowerCase());
    this.current = target;
  }
}
