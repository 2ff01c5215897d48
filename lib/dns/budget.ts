/** The budget of a session: how many questions it may send, and how long it may wait for their answers. */
import { Deadline } from '../internal/deadline.js';
import { DnsError } from './error.js';
import type { DnsAnswer, DnsExchange, DnsQuestion } from './record-types.js';

export class Budget {
  readonly #maxLookups: number;
  readonly #maxTime: number;
  #lookups = 0;
  /** Questions that wait for an answer at present. */
  #waiting = 0;
  /** When the first of them was sent. */
  #since = 0;
  /** Milliseconds during which questions waited before. Questions that wait at the same time count once. */
  #waited = 0;

  /** @param maxTime milliseconds */
  constructor(maxLookups: number, maxTime: number) {
    this.#maxLookups = maxLookups;
    this.#maxTime = maxTime;
  }

  /** The number of questions sent so far. */
  get lookups(): number {
    return this.#lookups;
  }

  /**
   * Sends a question if the budget allows it.
   *
   * @param signals abort the lookup
   * @throws DnsError ERR_MILTER_DNS_LIMIT, which is temporary only if the time is used up
   */
  async send(
    question: DnsQuestion,
    exchange: DnsExchange,
    ...signals: (AbortSignal | undefined)[]
  ): Promise<DnsAnswer> {
    if (this.#lookups >= this.#maxLookups) {
      const limit = `the session has sent ${this.#maxLookups} questions already (maxLookups)`;
      throw new DnsError('ERR_MILTER_DNS_LIMIT', question.type, question.name, limit);
    }
    const left = Math.ceil(this.#maxTime - this.#elapsed());
    if (left <= 0) throw this.#tooLong(question);
    this.#lookups++;
    using deadline = new Deadline(left, ...signals);
    this.#begin();
    try {
      return await exchange(question, deadline.signal);
    } catch (error) {
      throw deadline.passed ? this.#tooLong(question) : error;
    } finally {
      this.#end();
    }
  }

  #begin(): void {
    if (this.#waiting++ === 0) this.#since = performance.now();
  }

  #end(): void {
    if (--this.#waiting === 0) this.#waited += performance.now() - this.#since;
  }

  #elapsed(): number {
    return this.#waited + (this.#waiting > 0 ? performance.now() - this.#since : 0);
  }

  #tooLong({ type, name }: DnsQuestion): DnsError {
    const limit = `the session has waited ${this.#maxTime} ms in total (maxTime)`;
    return new DnsError('ERR_MILTER_DNS_LIMIT', type, name, limit, true);
  }
}
