/** DNS lookups for one SMTP session, with a cache, with limits, and without records that were not requested. */

import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { AliasChain } from './alias-chain.js';
import { TtlCache } from './cache.js';
import { Deadline } from './deadline.js';
import { DnsError, type DnsErrorCode } from './error.js';
import { reverseName, validDnsName } from './names.js';
import {
  type DnsAnswer,
  type DnsExchange,
  type DnsRecord,
  type DnsRecordType,
  type MxRecord,
  RECORD_TYPES,
  type RecordsByType,
} from './record-types.js';
import { networkExchange, type TransportOptions } from './transport.js';

/** Options and limits of a session. The limits matter because untrusted clients choose the names, and their servers the answers. */
export interface DnsSessionOptions extends TransportOptions {
  /** Maximum number of questions that the session sends; answers from the cache do not count. Default: 100. */
  readonly maxLookups?: number;
  /** Milliseconds that all lookups together may wait for answers. Default: 60,000. */
  readonly maxTime?: number;
  /** Maximum length of a chain of aliases (CNAME). Default: 8. */
  readonly maxAliases?: number;
  /** Maximum number of records in an answer; more are an error. Default: 1,000. */
  readonly maxRecords?: number;
  /** Maximum number of answers in the cache; 0 disables it. Default: 1,000. */
  readonly cacheSize?: number;
  /** Maximum time in seconds that an answer is cached, whatever its TTL. Default: 3,600. */
  readonly maxTtl?: number;
  /** Seconds that the absence of a name or record is cached. Default: 60. */
  readonly negativeTtl?: number;
  /** Aborts all lookups, for example `this.signal` of a filter. */
  readonly signal?: AbortSignal;
  /** Answers the questions instead of DNS servers, in tests for example. `servers`, `timeout` and `tries` are ignored then. */
  readonly exchange?: DnsExchange;
  /** The clock in milliseconds, for tests of the cache. Default: Date.now. */
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
 * A session of DNS lookups (pymilter's `Milter.dns.Session`). Create one for each SMTP session, so that a client can use up
 * only its own limits.
 *
 * It can replace a Resolver of node:dns/promises, as its methods and error codes are the same. Records for names that were not
 * requested are ignored, and loops of aliases are errors.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid option
 */
export class DnsSession {
  readonly #exchange: DnsExchange;
  readonly #cache: TtlCache<Outcome>;
  /** Pending lookups. A second request for the same records waits for the first. */
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
    this.#exchange = options.exchange ?? networkExchange(options);
    this.#cache = new TtlCache(cacheSize, options.now ?? Date.now);
    this.#signal = options.signal;
  }

  /** The number of questions sent so far. */
  get lookups(): number {
    return this.#lookups;
  }

  /**
   * The records of a name, or an empty array if there are none (pymilter's `Session.dns`).
   *
   * @throws DnsError as `resolve`, except ENOTFOUND and ENODATA
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
   * The records of a name. Aliases are followed.
   *
   * @throws DnsError ENOTFOUND: the name does not exist; ENODATA: it has no record of this type; EBADNAME: the name is not
   *     valid in DNS; ESERVFAIL, EREFUSED, ETIMEOUT: DNS cannot answer at present; EBADRESP: a loop of aliases, or a malformed
   *     answer; ECANCELLED: the signal was aborted; ERR_MILTER_DNS_LIMIT: a limit of the session was reached
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an unsupported type
   */
  async resolve<T extends DnsRecordType>(name: string, type: T): Promise<RecordsByType[T][]> {
    if (!RECORD_TYPES.includes(type)) {
      const known = RECORD_TYPES.join(', ');
      throw badArgument(`DnsSession: type must be one of ${known}, not ${String(type)}`);
    }
    const asked = validDnsName(String(name));
    if (asked === undefined)
      throw new DnsError('EBADNAME', type, String(name), 'the name is not valid in DNS');
    const outcome = await this.#lookUp(asked, type);
    if (outcome instanceof DnsError) throw outcome;
    return outcome.map(({ data }) => data as RecordsByType[T]);
  }

  /** The IPv4 addresses of a name, as `resolve(name, 'A')`. */
  resolve4(name: string): Promise<string[]> {
    return this.resolve(name, 'A');
  }

  /** The IPv6 addresses of a name, as `resolve(name, 'AAAA')`. */
  resolve6(name: string): Promise<string[]> {
    return this.resolve(name, 'AAAA');
  }

  /** The mail servers of a name in no particular order, as `resolve(name, 'MX')`. */
  resolveMx(name: string): Promise<MxRecord[]> {
    return this.resolve(name, 'MX');
  }

  /** The character-strings of each TXT record. Each character is one byte. */
  resolveTxt(name: string): Promise<string[][]> {
    return this.resolve(name, 'TXT');
  }

  /** The names in the PTR records of a name, as `resolve(name, 'PTR')`. */
  resolvePtr(name: string): Promise<string[]> {
    return this.resolve(name, 'PTR');
  }

  /** The target of an alias. */
  resolveCname(name: string): Promise<string[]> {
    return this.resolve(name, 'CNAME');
  }

  /**
   * The names in the PTR records of an address. To confirm that a name belongs to the host, look up its addresses.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if `ip` is not an IP address
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
        const records = chain.follow(answer);
        if (records.length > 0) return records;
        // A server may return the alias without its target, which is requested next.
        const code = FAILED[answer.rcode];
        if (code !== undefined) return new DnsError(code, type, name, `the server answered ${answer.rcode}`);
        if (chain.current === asked) return new DnsError('ENODATA', type, name, 'no such record');
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
        `the session has sent ${maxLookups} questions already (maxLookups)`,
      );
    }
    const left = Math.ceil(maxTime - this.#waited);
    const tooLong = () =>
      new DnsError(
        'ERR_MILTER_DNS_LIMIT',
        type,
        name,
        `the session has waited ${maxTime} ms in total (maxTime)`,
      );
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
        `the answer has more than ${maxRecords} records (maxRecords)`,
      );
    }
    if (rcode !== 'NOERROR' && FAILED[rcode] === undefined) {
      throw new DnsError('EBADRESP', type, name, `the server answered ${rcode}`);
    }
  }

  /** How long an outcome is cached, in milliseconds. Temporary failures are not cached. */
  #lifetimeOf(outcome: Outcome): number {
    const { maxTtl, negativeTtl } = this.#options;
    if (outcome instanceof DnsError) return outcome.nothing ? negativeTtl * 1000 : 0;
    return Math.min(maxTtl, ...outcome.map(({ ttl }) => ttl)) * 1000;
  }
}
