/** Which records of an answer are about the name that was asked for. */
import { DnsError } from './error.js';
import type { DnsAnswer, DnsQuestion, DnsRecord } from './record-types.js';

/** The names that a look-up has come through, each the alias of the next (RFC 1034 3.6.2). */
export class AliasChain {
  readonly #names: Set<string>;
  readonly #question: DnsQuestion;
  readonly #limit: number;
  /** The name whose records are wanted now. */
  current: string;

  constructor(question: DnsQuestion, limit: number) {
    this.#question = question;
    this.#limit = limit;
    this.current = question.name;
    this.#names = new Set([question.name.toLowerCase()]);
  }

  /**
   * Walks along the aliases in an answer.
   *
   * A record counts where its name is the one asked for, or one that an alias has led to. All others are not answers to
   * the question, whoever put them there, and are not looked at.
   *
   * @returns the records wanted; none where the answer ends with an alias, or has none
   * @throws DnsError EBADRESP for a loop, ERR_MILTER_DNS_LIMIT for a chain that is too long
   */
  walk(answer: DnsAnswer): DnsRecord[] {
    for (;;) {
      const own = answer.records.filter(({ name }) => name.toLowerCase() === this.current.toLowerCase());
      const wanted = own.filter(({ type }) => type === this.#question.type);
      if (wanted.length > 0) return wanted;
      const alias = own.find(({ type }) => type === 'CNAME');
      if (alias === undefined) return [];
      this.#step(alias.data as string);
    }
  }

  #step(target: string): void {
    const { type, name } = this.#question;
    if (this.#names.has(target.toLowerCase())) {
      throw new DnsError('EBADRESP', type, name, `a loop of aliases (CNAME) by way of ${target}`);
    }
    if (this.#names.size > this.#limit) {
      throw new DnsError('ERR_MILTER_DNS_LIMIT', type, name, `more than ${this.#limit} aliases (maxAliases)`);
    }
    this.#names.add(target.toLowerCase());
    this.current = target;
  }
}
