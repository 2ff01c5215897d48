/** Look-ups for one SMTP session: remembered, bounded, and with nothing in them that was not asked for. */

import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { TtlCache } from './cache.js';
import { Deadline } from './deadline.js';
import { DnsError, type DnsErrorCode } from './error.js';
import { AliasChain } from './follow.js';
import { askableName, reverseName } from './names.js';
import {
  type DnsAnswer,
  type DnsExchange,
  type DnsRecord,
  type DnsRecordType,
  type MxRecord,
  RECORD_TYPES,
  type RecordsByType,
} from './record-types.js';
import { overTheNetwork, type TransportOptions } from './transport.js';

/** How a session asks, and what it may cost. A stranger chooses the names that are looked up, and what they answer. */
export interface DnsSessionOptions extends TransportOptions {
  /** Questions that a session may send; what it remembers is free. Default: 100. */
  readonly maxLookups?: number;
  /** Milliseconds that a session may wait for answers, all look-ups together. Default: 60,000. */
  readonly maxTime?: number;
  /** Aliases (CNAME) in a row. Default: 8. */
  readonly maxAliases?: number;
  /** Records in an answer; more are an error. Default: 1,000. */
  readonly maxRecords?: number;
  /** Answers that are remembered. Default: 1,000; 0 remembers none. */
  readonly cacheSize?: number;
  /** Seconds that an answer is remembered at most, whatever its TTL says. Default: 3,600. */
  readonly maxTtl?: number;
  /** Seconds that it is remembered that there is nothing. Default: 60. */
  readonly negativeTtl?: number;
  /** Ends all look-ups when it is aborted, `this.signal` of a filter say. */
  readonly signal?: AbortSignal;
  /** Puts the questions in place of the network: for tests, or another resolver. `servers`, `timeout` and `tries` have no meaning then. */
  readonly exchange?: DnsExchange;
  /** Milliseconds, for tests of what is remembered. Default: Date.now. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<DnsSessionOptions> = {
  maxLookups: true,
  maxTime: true,
  maxAliases: true,
  maxRecords: true,
  cacheSize: true,
  maxTtl: true,
  negativeTtl: true,
  signal: true,
  exchange: true,
  now: true,
  servers: true,
  timeout: true,
  tries: true,
};

const FAILED: Record<string, DnsErrorCode> = {
  SERVFAIL: 'ESERVFAIL',
  REFUSED: 'EREFUSED',
  NXDOMAIN: 'ENOTFOUND',
};

type Outcome = readonly DnsRecord[] | DnsError;

/**
 * A session of look-ups (pymilter's `Milter.dns.Session`). Make one for each SMTP session, so that a client can use up its
 * own look-ups only.
 *
 * It fits wherever a Resolver of node:dns/promises is wanted: the methods and error codes are the same. Records for names
 * that were not asked for are passed over, and loops of aliases refused.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option
 */
export class DnsSession {
  readonly #exchange: DnsExchange;
  readonly #cache: TtlCache<Outcome>;
  /** Look-ups under way: who asks the same meanwhile gets the same answer. */
  readonly #pending = new Map<string, Promise<Outcome>>();
  readonly #options: Required<
    Pick<DnsSessionOptions, 'maxLookups' | 'maxTime' | 'maxAliases' | 'maxRecords' | 'maxTtl' | 'negativeTtl'>
  >;
  readonly #signal: AbortSignal | undefined;
  #lookups = 0;
  #waited = 0;

  constructor(options: DnsSessionOptions = {}) {
    checkOptions('DnsSession', options, OPTIONS);
    this.#options = {
      maxLookups: options.maxLookups ?? 100,
      maxTime: options.maxTime ?? 60_000,
      maxAliases: options.maxAliases ?? 8,
      maxRecords: options.maxRecords ?? 1000,
      maxTtl: options.maxTtl ?? 3600,
      negativeTtl: options.negativeTtl ?? 60,
    };
    const { cacheSize = 1000, timeout = 2000, tries = 2 } = options;
    for (const [name, value] of Object.entries({ ...this.#options, cacheSize })) {
      checkInteger(`DnsSession: ${name}`, value, 0);
    }
    for (const [name, value] of Object.entries({ timeout, tries }))
      checkInteger(`DnsSession: ${name}`, value, 1);
    this.#exchange = options.exchange ?? overTheNetwork(options);
    this.#cache = new TtlCache(cacheSize, options.now ?? Date.now);
    this.#signal = options.signal;
  }

  /** Questions that were sent so far. */
  get lookups(): number {
    return this.#lookups;
  }

  /**
   * What DNS has for a name, as pymilter's `Session.dns`: nothing is an empty list, not an error.
   *
   * @throws DnsError as `resolve`, but for ENOTFOUND and ENODATA
   */
  async dns<T extends DnsRecordType>(name: string, type: T): Promise<RecordsByType[T][]> {
    try {
      return await this.resolve(name, type);
    } catch (error) {
      if (error instanceof DnsError && error.nothing) return [];
      throw error;
    }
  }

  /**
   * The records of a name, aliases followed.
   *
   * @throws DnsError ENOTFOUND: no such name; ENODATA: no record of this type; EBADNAME: DNS cannot have this name;
   *     ESERVFAIL, EREFUSED, ETIMEOUT: nobody knows now; EBADRESP: a loop of aliases, or an answer that cannot be read; ECANCELLED: the
   *     signal was aborted; ERR_MILTER_DNS_LIMIT: a limit of the session is reached
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a type that is not known here
   */
  async resolve<T extends DnsRecordType>(name: string, type: T): Promise<RecordsByType[T][]> {
    if (!RECORD_TYPES.includes(type)) {
      const known = RECORD_TYPES.join(', ');
      throw badArgument(`DnsSession: type ${String(type)}: it must be one of ${known}`);
    }
    const asked = askableName(String(name));
    if (asked === undefined)
      throw new DnsError('EBADNAME', type, String(name), 'not a name that DNS can have');
    const outcome = await this.#lookUp(asked, type);
    if (outcome instanceof DnsError) throw outcome;
    return outcome.map(({ data }) => data as RecordsByType[T]);
  }

  /** Addresses, as `resolve(name, 'A')`. */
  resolve4(name: string): Promise<string[]> {
    return this.resolve(name, 'A');
  }

  /** Addresses, as `resolve(name, 'AAAA')`. */
  resolve6(name: string): Promise<string[]> {
    return this.resolve(name, 'AAAA');
  }

  /** As `resolve(name, 'MX')`, in no order. */
  resolveMx(name: string): Promise<MxRecord[]> {
    return this.resolve(name, 'MX');
  }

  /** The character-strings of each record; a character is a byte. */
  resolveTxt(name: string): Promise<string[][]> {
    return this.resolve(name, 'TXT');
  }

  /** Names, as `resolve(name, 'PTR')`. */
  resolvePtr(name: string): Promise<string[]> {
    return this.resolve(name, 'PTR');
  }

  /** The alias that stands under a name itself. */
  resolveCname(name: string): Promise<string[]> {
    return this.resolve(name, 'CNAME');
  }

  /**
   * The names that DNS has for an address. Whether they are the host's is another question: ask for their addresses.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is not an IP address
   */
  reverse(ip: string): Promise<string[]> {
    const name = reverseName(ip);
    if (name !== undefined) return this.resolve(name, 'PTR');
    return Promise.reject(badArgument(`DnsSession: reverse: ${ip} is not an IP address`));
  }

  async #lookUp(name: string, type: DnsRecordType): Promise<Outcome> {
    const key = `${type} ${name.toLowerCase()}`;
    const known = this.#cache.get(key) ?? this.#pending.get(key);
    if (known !== undefined) return known;
    const lookup = this.#ask(name, type);
    this.#pending.set(key, lookup);
    try {
      const outcome = await lookup;
      this.#cache.set(key, outcome, this.#lifetimeOf(outcome));
      return outcome;
    } finally {
      this.#pending.delete(key);
    }
  }

  async #ask(name: string, type: DnsRecordType): Promise<Outcome> {
    const chain = new AliasChain({ name, type }, this.#options.maxAliases);
    try {
      for (;;) {
        const asked = chain.current;
        const answer = await this.#send({ name: asked, type });
        this.#check(answer, name, type);
        const records = chain.walk(answer);
        if (records.length > 0) return records;
        // The server may have given the alias alone: then its target is asked for.
        const code = FAILED[answer.rcode];
        if (code !== undefined) return new DnsError(code, type, name, `the server says ${answer.rcode}`);
        if (chain.current === asked) return new DnsError('ENODATA', type, name, 'there is no such record');
      }
    } catch (error) {
      if (error instanceof DnsError) return error;
      throw error;
    }
  }

  async #send(question: { name: string; type: DnsRecordType }): Promise<DnsAnswer> {
    const { maxLookups, maxTime } = this.#options;
    const { name, type } = question;
    if (this.#lookups >= maxLookups) {
      throw new DnsError(
        'ERR_MILTER_DNS_LIMIT',
        type,
        name,
        `${maxLookups} questions were sent already (maxLookups)`,
      );
    }
    const left = Math.ceil(maxTime - this.#waited);
    const tooLong = () =>
      new DnsError('ERR_MILTER_DNS_LIMIT', type, name, `waited for ${maxTime} ms in all (maxTime)`);
    if (left <= 0) throw tooLong();
    this.#lookups++;
    using deadline = new Deadline(left, this.#signal);
    const begin = performance.now();
    try {
      return await this.#exchange(question, deadline.signal);
    } catch (error) {
      throw deadline.passed ? tooLong() : error;
    } finally {
      this.#waited += performance.now() - begin;
    }
  }

  #check({ rcode, records }: DnsAnswer, name: string, type: DnsRecordType): void {
    const { maxRecords } = this.#options;
    if (records.length > maxRecords) {
      throw new DnsError(
        'ERR_MILTER_DNS_LIMIT',
        type,
        name,
        `an answer of more than ${maxRecords} records (maxRecords)`,
      );
    }
    if (rcode !== 'NOERROR' && FAILED[rcode] === undefined) {
      throw new DnsError('EBADRESP', type, name, `the server says ${rcode}`);
    }
  }

  /** Milliseconds. What is only so for the moment is not remembered. */
  #lifetimeOf(outcome: Outcome): number {
    const { maxTtl, negativeTtl } = this.#options;
    if (outcome instanceof DnsError) return outcome.nothing ? negativeTtl * 1000 : 0;
    return Math.min(maxTtl, ...outcome.map(({ ttl }) => ttl)) * 1000;
  }
}
