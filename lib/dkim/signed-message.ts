/** A message whose signatures are verified while it comes: what they share, and how one of them is checked (RFC 6376 6.1). */
import { verify } from 'node:crypto';
import { BodyHashes } from './body-hash.js';
import { canonicalHeader, type HeaderField } from './canonical-header.js';
import { type KeyLookup, KeyLookups, type TxtResolver } from './key-lookup.js';
import type { KeyRecord } from './key-record.js';
import { sha256 } from './sha256.js';
import type { Signature } from './signature.js';
import type { KeyType } from './signature-tags.js';
import { HeaderBlock } from './signed-headers.js';
import { withoutValue } from './tag-list.js';

/** The options of a verifier that concern every kind of signature. */
export interface VerificationLimits {
  readonly resolver: TxtResolver;
  readonly maxBodyHashes: number;
  readonly maxHeaderBytes: number;
  readonly maxKeyRecord: number;
  readonly minRsaBits: number;
  readonly maxRsaBits: number;
  readonly clockSkew: number;
  readonly now: () => number;
}

/** What became of a signature; the names are those of `DkimResultName`. */
export interface Checked {
  readonly result: 'pass' | 'fail' | 'policy' | 'permerror' | 'temperror';
  readonly reason?: string;
  readonly keyBits?: number;
  readonly testing?: boolean;
}

/** What is needed of a signature to find and use its key. */
export interface KeyedSignature {
  readonly keyType: KeyType;
  readonly data: Buffer;
  readonly domain: string;
  readonly selector: string;
}

type Fault = Pick<Checked, 'result' | 'reason'>;

export class SignedMessage {
  readonly headers = new HeaderBlock();
  readonly hashes: BodyHashes;
  readonly #keys: KeyLookups;
  readonly #limits: VerificationLimits;
  #ended = false;

  constructor(limits: VerificationLimits) {
    this.#limits = limits;
    this.hashes = new BodyHashes(limits.maxBodyHashes);
    this.#keys = new KeyLookups(limits.resolver, limits.maxKeyRecord);
  }

  /** Whether the header is beyond the limit, so that nothing is verified. */
  get tooLarge(): boolean {
    return this.headers.bytes > this.#limits.maxHeaderBytes;
  }

  /** Ends the body. */
  end(): void {
    if (!this.#ended) this.hashes.end();
    this.#ended = true;
  }

  /**
   * Begins to verify a signature over header and body: asks for its hash of the body and for its key.
   *
   * @returns gives the result, once the body has ended
   */
  begin(field: HeaderField, signature: Signature): () => Promise<Checked> {
    const unusable = this.timeFault(signature) ?? this.#hashFault(signature);
    if (unusable) return async () => unusable;
    this.askForKey(signature);
    return () =>
      this.checkKeyed(
        signature,
        (record) => identityFault(signature, record) ?? this.#bodyFault(signature),
        () => this.#signedText(field, signature),
      );
  }

  /** Why a signature is not of this time. */
  timeFault({ signedAt, expiresAt }: Pick<Signature, 'signedAt' | 'expiresAt'>): Fault | undefined {
    const now = this.#limits.now() / 1000;
    const { clockSkew } = this.#limits;
    if (expiresAt !== undefined && expiresAt + clockSkew < now) return fail('the signature has expired');
    if (signedAt !== undefined && signedAt - clockSkew > now)
      return fail('the signature was made in the future');
    return undefined;
  }

  /** Asks for the key of a signature, so that it is known when it is needed. A key is asked for once in a message. */
  askForKey({ selector, domain }: KeyedSignature): Promise<KeyLookup> {
    return this.#keys.get(selector, domain);
  }

  /**
   * Checks a signature with each key record under its name.
   *
   * @param fault what else is wrong with the signature, given a key that may be used
   * @param text the text that was signed, made when it is needed
   */
  async checkKeyed(
    signature: KeyedSignature,
    fault: (record: KeyRecord) => Fault | undefined,
    text: () => string,
  ): Promise<Checked> {
    const lookup = await this.askForKey(signature);
    if (!('keys' in lookup)) {
      return { result: lookup.temporary ? 'temperror' : 'permerror', reason: lookup.reason };
    }
    let last: Checked | undefined;
    let signed: Buffer | undefined;
    for (const record of lookup.keys) {
      const unusable = this.#keyFault(signature, record) ?? fault(record);
      if (!unusable) signed ??= Buffer.from(text(), 'latin1');
      const found = unusable ?? mismatch(signed as Buffer, signature, record);
      const about = { keyBits: record.bits, ...(record.testing ? { testing: true } : {}) };
      if (!found) return { ...about, result: 'pass' };
      last ??= { ...about, ...found };
    }
    return last as Checked;
  }

  #hashFault({ bodyCanonicalization, length }: Signature): Fault | undefined {
    return this.hashes.request(bodyCanonicalization, length)
      ? undefined
      : policy('there are too many different body hashes (maxBodyHashes)');
  }

  #keyFault({ keyType }: KeyedSignature, record: KeyRecord): Fault | undefined {
    const { minRsaBits, maxRsaBits } = this.#limits;
    if (record.keyType !== keyType) return permerror('the key is not of the algorithm of the signature');
    if (keyType === 'rsa' && (record.bits < minRsaBits || record.bits > maxRsaBits)) {
      return policy(`the RSA key has ${record.bits} bits (minRsaBits, maxRsaBits)`);
    }
    return undefined;
  }

  #bodyFault({ bodyCanonicalization, length, bodyHash }: Signature): Fault | undefined {
    const body = this.hashes.result(bodyCanonicalization, length);
    if (!body) return permerror('the body was not hashed');
    if (length !== Infinity && length > body.bodyLength) return permerror('l= is larger than the body');
    return body.digest.equals(bodyHash) ? undefined : fail('the body is not what was signed');
  }

  #signedText(field: HeaderField, { headerCanonicalization: how, signedHeaders }: Signature): string {
    return this.headers.signedText(signedHeaders, how, field) + unsignedField(field, how);
  }
}

/** A signature's own field as it is signed: with its `b=` empty, and without CRLF. */
export function unsignedField(field: HeaderField, how: 'simple' | 'relaxed'): string {
  return canonicalHeader({ ...field, value: withoutValue(field.value, 'b') }, how);
}

const fail = (reason: string): Fault => ({ result: 'fail', reason });
const policy = (reason: string): Fault => ({ result: 'policy', reason });
const permerror = (reason: string): Fault => ({ result: 'permerror', reason });

function identityFault({ identityDomain, domain }: Signature, { strict }: KeyRecord): Fault | undefined {
  return strict && identityDomain !== domain
    ? permerror('the key is not for subdomains (t=s), and i= is one')
    : undefined;
}

/** RSA signs a SHA-256 of the text (RFC 6376 3.3.2), Ed25519 the SHA-256 itself (RFC 8463 3). */
function mismatch(bytes: Buffer, { data }: KeyedSignature, { keyType, key }: KeyRecord): Fault | undefined {
  try {
    const valid =
      keyType === 'rsa' ? verify('sha256', bytes, key, data) : verify(null, sha256(bytes), key, data);
    if (valid) return undefined;
  } catch {
    // a signature of a length that the key cannot have made
  }
  return fail('the header is not what was signed, or the key is another one');
}
