/** DNS lookups for one message or SMTP session, with a cache, with limits, and without records that were not requested. */

import { badArgument } from '../internal/errors.js';
import { DNS_CHANNEL, publish } from '../internal/helper-events.js';
import { printable } from '../internal/printable.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { AliasChain } from './alias-chain.js';
import { Budget } from './budget.js';
import { CACHE_OPTIONS, DnsCache, type DnsCacheOptions, keyOf, type Outcome } from './cache.js';
import { DnsError, type DnsErrorCode } from './error.js';
import { canonicalName, reverseName } from './names.js';
import {
  type DnsAnswer,
  type DnsExchange,
  type DnsQuestion,
  type DnsRecordType,
  type MxRecord,
  RECORD_TYPES,
  type RecordsByType,
} from './record-types.js';
import { networkExchange, type TransportOptions } from './transport.js';

/** Limits of what a session may ask. They matter because untrusted clients choose the names, and their servers the answers. */
export interface DnsSessionLimits {
  /** Maximum number of questions that the session sends; answers from the cache do not count. Default: 100. */
  readonly maxLookups?: number;
  /** Milliseconds that the session may wait for answers in total; lookups at the same time count once. Default: 60,000. */
  readonly maxTime?: number;
  /** Maximum length of a chain of aliases (CNAME). Default: 8. */
  readonly maxAliases?: number;
  /** Maximum number of records in an answer; more are an error. Default: 1,000. */
  readonly maxRecords?: number;
  /** Aborts all lookups, for example `this.signal` of a filter. */
  readonly signal?: AbortSignal;
}

/** Options of a session. `cacheSize` and the other options of a cache are those of the session's own; they are ignored with `cache`. */
export interface DnsSessionOptions extends TransportOptions, DnsCacheOptions, DnsSessionLimits {
  /** A cache that is shared with other sessions. Default: a new one. */
  readonly cache?: DnsCache;
  /** Answers the questions instead of DNS servers, in tests for example. `servers`, `resolvConf`, `timeout` and `tries` are ignored then. */
  readonly exchange?: DnsExchange;
}

const LIMITS: OptionNames<DnsSessionLimits> = {
  maxLookups: true,
  maxTime: true,
  maxAliases: true,
  maxRecords: true,
  signal: true,
};

const OPTIONS: OptionNames<DnsSessionOptions> = {
  ...LIMITS,
  ...CACHE_OPTIONS,
  cache: true,
  exchange: true,
  servers: true,
  resolvConf: true,
  timeout: true,
  tries: true,
};

const FAILED: Record<string, DnsErrorCode> = {
  SERVFAIL: 'ESERVFAIL',
  REFUSED: 'EREFUSED',
  NXDOMAIN: 'ENOTFOUND',
};

/**
 * A session of DNS lookups (pymilter's `Milter.dns.Session`): the budget of questions and time that one message may spend, for
 * SPF, DKIM, DMARC and ARC together. Create one for each message, or for each SMTP session, so that a client can use up only its
 * own limits; a {@link DnsCache} may be shared by all.
 *
 * It can replace a Resolver of node:dns/promises, as its methods and error codes are the same. Records for names that were not
 * requested are ignored, and loops of aliases are errors.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid option
 */
export class DnsSession {
  readonly #exchange: DnsExchange;
  readonly #cache: DnsCache;
  readonly #budget: Budget;
  /** Pending lookups. A second request for the same records waits for the first. */
  readonly #pending = new Map<string, Promise<Outcome>>();
  readonly #maxAliases: number;
  readonly #maxRecords: number;
  readonly #signal: AbortSignal | undefined;

  constructor(options: DnsSessionOptions = {}) {
    checkOptions('DnsSession', options, OPTIONS);
    const { maxLookups = 100, maxTime = 60_000, maxAliases = 8, maxRecords = 1000 } = options;
    for (const [name, value] of Object.entries({ maxLookups, maxTime, maxAliases, maxRecords })) {
      checkInteger(`DnsSession: ${name}`, value, 0);
    }
    this.#exchange = options.exchange ?? networkExchange(options);
    this.#cache = cacheOf(options);
    this.#budget = new Budget(maxLookups, maxTime);
    this.#maxAliases = maxAliases;
    this.#maxRecords = maxRecords;
    this.#signal = options.signal;
  }

  /**
   * A part of this session, for one of several checks that share its budget: its questions count in both, and it has its own
   * limits too. An SPF record that asks for everything then leaves the rest to DKIM and DMARC.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid limit
   */
  share(limits: DnsSessionLimits = {}): DnsSession {
    checkOptions('DnsSession: share', limits, LIMITS);
    return new DnsSession({
      maxAliases: this.#maxAliases,
      maxRecords: this.#maxRecords,
      ...limits,
      cache: this.#cache,
      exchange: (question, signal) => this.#send(question, signal),
    });
  }

  /** The number of questions sent so far. */
  get lookups(): number {
    return this.#budget.lookups;
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
   * A name may have any octets. In names that are passed or returned, a backslash stands before a character that is part of a
   * label (`\.`), or before the three digits of an octet (`\001`), as in zone files (RFC 1035 5.1) and in node:dns.
   *
   * @throws DnsError ENOTFOUND: the name does not exist; ENODATA: it has no record of this type; EBADNAME: the name is not
   *     valid in DNS; ESERVFAIL, EREFUSED, ETIMEOUT: DNS cannot answer at present; EBADRESP: a loop of aliases, or a malformed
   *     answer; ECANCELLED: the signal was aborted; ERR_MILTER_DNS_LIMIT: a limit of the session was reached. dnsFailureOf tells
   *     what each means for a check.
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an unsupported type
   */
  async resolve<T extends DnsRecordType>(name: string, type: T): Promise<RecordsByType[T][]> {
    if (!RECORD_TYPES.includes(type)) {
      const known = RECORD_TYPES.join(', ');
      throw badArgument(`DnsSession: type must be one of ${known}, not ${quoted(type)}`);
    }
    const asked = canonicalName(String(name));
    if (asked === undefined)
      throw new DnsError('EBADNAME', type, String(name), 'the name is not valid in DNS');
    const { result } = await this.#lookUp({ name: asked, type });
    if (result instanceof DnsError) throw result;
    return result.map(({ data }) => data as RecordsByType[T]);
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

  /**
   * The TXT records of a name, each with its character-strings joined without spaces, as records of SPF, DKIM and DMARC are read
   * (RFC 7208 3.3, RFC 6376 3.6.2.2). Each character is one byte: `Buffer.from(text, 'latin1')` has the record's bytes.
   *
   * @throws DnsError as `resolve`
   */
  async texts(name: string): Promise<string[]> {
    return (await this.resolveTxt(name)).map((strings) => strings.join(''));
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
    const name = reverseName(String(ip));
    if (name !== undefined) return this.resolve(name, 'PTR');
    return Promise.reject(badArgument(`DnsSession: reverse: ${quoted(ip)} is not an IP address`));
  }

  async #lookUp(question: DnsQuestion): Promise<Outcome> {
    const key = keyOf(question);
    const begun = performance.now();
    const known = this.#cache.get(question) ?? this.#pending.get(key);
    if (known !== undefined) {
      publish(DNS_CHANNEL, 'cached', begun);
      return known;
    }
    const lookup = this.#ask(question);
    this.#pending.set(key, lookup);
    try {
      const outcome = await lookup;
      this.#cache.set(question, outcome);
      publish(DNS_CHANNEL, resultOf(outcome), begun);
      return outcome;
    } finally {
      this.#pending.delete(key);
    }
  }

  async #ask({ name, type }: DnsQuestion): Promise<Outcome> {
    const chain = new AliasChain({ name, type }, this.#maxAliases);
    const failed = (code: DnsErrorCode, detail: string) => ({
      result: new DnsError(code, type, name, detail),
      ttl: chain.ttl,
    });
    try {
      for (;;) {
        const asked = chain.current;
        const answer = await this.#send({ name: asked, type });
        this.#check(answer, name, type);
        const records = chain.follow(answer);
        if (records.length > 0) return { result: records, ttl: chain.ttl };
        // A server may return the alias without its target, which is requested next.
        const code = FAILED[answer.rcode];
        const ends = code !== undefined || chain.current === asked;
        if (ends && answer.negativeTtl !== undefined) chain.limitTtl(answer.negativeTtl);
        if (code !== undefined) return failed(code, `the server answered ${answer.rcode}`);
        if (ends) return failed('ENODATA', 'no such record');
      }
    } catch (error) {
      if (error instanceof DnsError) return { result: error, ttl: chain.ttl };
      throw error;
    }
  }

  #send(question: DnsQuestion, signal?: AbortSignal): Promise<DnsAnswer> {
    return this.#budget.send(question, this.#exchange, this.#signal, signal);
  }

  #check({ rcode, records }: DnsAnswer, name: string, type: DnsRecordType): void {
    if (records.length > this.#maxRecords) {
      const limit = `the answer has more than ${this.#maxRecords} records (maxRecords)`;
      throw new DnsError('ERR_MILTER_DNS_LIMIT', type, name, limit);
    }
    if (rcode !== 'NOERROR' && FAILED[rcode] === undefined) {
      throw new DnsError('EBADRESP', type, name, `the server answered ${rcode}`);
    }
  }
}

function resultOf({ result }: Outcome): 'found' | 'nothing' | 'failed' {
  if (!(result instanceof DnsError)) return 'found';
  return result.nothing ? 'nothing' : 'failed';
}

/** An argument in a message. */
const quoted = (value: unknown) => printable(JSON.stringify(String(value).slice(0, 64)));

function cacheOf({ cache, cacheSize, maxCacheBytes, maxTtl, negativeTtl, now }: DnsSessionOptions): DnsCache {
  const own = { cacheSize, maxCacheBytes, maxTtl, negativeTtl, now };
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  if (cache === undefined) return new DnsCache(Object.fromEntries(given));
  if (!(cache instanceof DnsCache)) throw badArgument('DnsSession: cache must be a DnsCache');
  return cache;
}
