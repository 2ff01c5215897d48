/** Key records by selector and domain: each is asked for once in a message, while its body still comes. */
import { dnsFailureOf } from '../dns/index.js';
import { keyRecordOf } from './key-cache.js';
import type { KeyRecord } from './key-record.js';

/** What is needed of DNS: a `DnsSession` of `tsmilter/dns` has it, and a Resolver of node:dns/promises. */
export interface TxtResolver {
  resolveTxt(name: string): Promise<string[][]>;
}

/** The keys under a name, or why there is none. */
export type KeyLookup =
  | { readonly keys: readonly KeyRecord[] }
  /** `temporary`: DNS has not said that there is none, and may know it later. */
  | { readonly reason: string; readonly temporary: boolean };

/** A name should have one key record (RFC 6376 3.6.2.2); an untrusted domain may publish many. */
const MAX_RECORDS = 4;

export class KeyLookups {
  readonly #resolver: TxtResolver;
  readonly #maxRecord: number;
  readonly #asked = new Map<string, Promise<KeyLookup>>();

  /** @param maxRecord characters that a key record may have */
  constructor(resolver: TxtResolver, maxRecord: number) {
    this.#resolver = resolver;
    this.#maxRecord = maxRecord;
  }

  /** Never rejects. */
  get(selector: string, domain: string): Promise<KeyLookup> {
    const name = `${selector}._domainkey.${domain}`;
    let lookup = this.#asked.get(name);
    if (!lookup) {
      lookup = this.#ask(name);
      this.#asked.set(name, lookup);
    }
    return lookup;
  }

  async #ask(name: string): Promise<KeyLookup> {
    let records: string[][];
    try {
      records = await this.#resolver.resolveTxt(name);
    } catch (error) {
      const failure = dnsFailureOf(error);
      if (failure === 'nonexistent' || failure === 'nodata')
        return { reason: 'DNS has no key record', temporary: false };
      const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
      // A sender who uses up the questions of a session must not make the signature of another domain look invalid.
      return { reason: `DNS: ${String(message ?? code)}`, temporary: true };
    }
    return this.#read(records);
  }

  #read(records: readonly string[][]): KeyLookup {
    const keys: KeyRecord[] = [];
    let reason = 'DNS has no key record';
    for (const strings of records.slice(0, MAX_RECORDS)) {
      const text = strings.join('');
      const record =
        text.length > this.#maxRecord
          ? `the key record is longer than ${this.#maxRecord} characters (maxKeyRecord)`
          : keyRecordOf(text);
      if (typeof record === 'string') reason = record;
      else keys.push(record);
    }
    return keys.length > 0 ? { keys } : { reason, temporary: false };
  }
}
