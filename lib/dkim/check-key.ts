/** Whether DNS has the record of a key, as a verifier would see it. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import { KeyLookups, type TxtResolver } from './key-lookup.js';
import { keyRecordName } from './key-pair.js';
import type { KeyRecord } from './key-record.js';
import type { KeyType } from './signature-tags.js';
import { type PrivateKeyInput, signingKey } from './signing-key.js';

/** What is looked for, and where. */
export interface CheckKeyOptions {
  /** `d=` */
  readonly domain: string;
  /** `s=` */
  readonly selector: string;
  /** The private key. Default: none, and only the record itself is checked. */
  readonly key?: PrivateKeyInput;
  /** A DnsSession of `tsmilter/dns`, or a Resolver of node:dns/promises. */
  readonly resolver: TxtResolver;
}

const OPTIONS: OptionNames<CheckKeyOptions> = { domain: true, selector: true, key: true, resolver: true };

/**
 * - `ok`: verifiers find a key that can be used and, if one was given, it belongs to the private key.
 * - `missing`: there is no record that can be used; `reason` says why.
 * - `different`: the record is of another key: signatures would fail.
 * - `temperror`: DNS did not answer.
 */
export type CheckedKeyResult = 'ok' | 'missing' | 'different' | 'temperror';

export interface CheckedKeyRecord {
  readonly result: CheckedKeyResult;
  /** The name that was asked for. */
  readonly name: string;
  /** Why the result is not `ok`. */
  readonly reason?: string;
  readonly type?: KeyType;
  readonly bits?: number;
  /** What verifiers may object to although the record can be used. */
  readonly warnings: readonly string[];
}

/** Characters of a record, as {@link DkimVerifierOptions.maxKeyRecord} has by default. */
const MAX_RECORD = 4096;
/** RFC 8301 3.2: verifiers need not trust less, signers SHOULD use so many. */
const RECOMMENDED_RSA_BITS = 2048;

/**
 * Asks DNS for the record of a key.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is not a selector or a domain, ERR_MILTER_BAD_KEY for a key that cannot
 *   sign mail
 */
export async function checkKey(options: CheckKeyOptions): Promise<CheckedKeyRecord> {
  checkOptions('checkKey', options, OPTIONS);
  const name = keyRecordName(options.selector, options.domain);
  const own = options.key === undefined ? undefined : createPublicKey(signingKey(options.key).key);
  const [selector, domain] = name.split('._domainkey.') as [string, string];
  const lookup = await new KeyLookups(options.resolver, MAX_RECORD).get(selector, domain);
  if (!('keys' in lookup)) {
    const result = lookup.temporary ? 'temperror' : 'missing';
    return { result, name, reason: lookup.reason, warnings: [] };
  }
  const { keys } = lookup;
  const found = own === undefined ? keys[0] : keys.find((record) => isSameKey(record.key, own));
  const about = found ?? (keys[0] as KeyRecord);
  const facts = { name, type: about.keyType, bits: about.bits, warnings: warningsOf(about, keys.length) };
  if (found) return { result: 'ok', ...facts };
  return { result: 'different', reason: 'the record is not that of this private key', ...facts };
}

function isSameKey(one: KeyObject, other: KeyObject): boolean {
  return one.asymmetricKeyType === other.asymmetricKeyType && one.equals(other);
}

function warningsOf({ keyType, bits, testing }: KeyRecord, records: number): string[] {
  return [
    ...(records > 1 ? ['there are several key records under this name, and verifiers may take any'] : []),
    ...(testing ? ['t=y: verifiers may ignore signatures of a domain that tries DKIM out'] : []),
    ...(keyType === 'rsa' && bits < RECOMMENDED_RSA_BITS
      ? [`${bits} bits: RSA keys should have at least ${RECOMMENDED_RSA_BITS} (RFC 8301)`]
      : []),
  ];
}
