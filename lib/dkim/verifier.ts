/** Verifying the DKIM signatures of a message while it comes (RFC 6376 6). */
import { verify } from 'node:crypto';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { BodyHashes } from './body-hash.js';
import { canonicalHeader, type HeaderField, headerField } from './canonical-header.js';
import { type KeyLookup, KeyLookups, type TxtResolver } from './key-lookup.js';
import type { KeyRecord } from './key-record.js';
import { sha256 } from './sha256.js';
import { type ParsedSignature, parseSignature, type Signature } from './signature.js';
import { HeaderBlock } from './signed-headers.js';
import { withoutValue } from './tag-list.js';

/**
 * What became of a signature, in the words of RFC 8601 2.7.1:
 *
 * - `pass`: it is valid.
 * - `fail`: it is well-formed, but does not match the message, or has expired.
 * - `policy`: it may be valid, but a limit of this verifier rejects it.
 * - `permerror`: it cannot be verified: a fault of the field or of the key record, or there is no key.
 * - `temperror`: DNS did not answer; another try may succeed.
 */
export type DkimResultName = 'pass' | 'fail' | 'policy' | 'permerror' | 'temperror';

/** One signature's result, with what an Authentication-Results field or a log line tells of it. */
export interface DkimResult {
  readonly result: DkimResultName;
  /** Why it is not `pass`, in plain words. Nothing of the message is quoted, apart from the text of a DNS error. */
  readonly reason?: string;
  /** The signing domain (`d=`), in lower case and with A-labels if it is a valid domain name. */
  readonly domain?: string;
  /** The identity (`i=`), by default `@` and the domain. */
  readonly identity?: string;
  /** The selector (`s=`). */
  readonly selector?: string;
  /** The algorithm (`a=`). */
  readonly algorithm?: string;
  /** The number of signed octets of the body (`l=`), if not all of it is signed. Anybody may have added the rest. */
  readonly length?: number;
  /** Bits of the key; 256 for Ed25519. */
  readonly keyBits?: number;
  /** The domain says that it tries DKIM out (`t=y` of the key): a failure is to be treated as no signature. */
  readonly testing?: boolean;
  /** The first eight characters of `b=`, which tell the signatures of a message apart (RFC 6008). */
  readonly signaturePrefix?: string;
  /** The signed header names (`h=`), in lower case. */
  readonly signedHeaders?: readonly string[];
}

/** How signatures are verified, and the limits on what an untrusted message may cost. */
export interface DkimVerifierOptions {
  /** Where key records are asked for: share one DnsSession of `tsmilter/dns` per message. */
  readonly resolver: TxtResolver;
  /** Signatures that are verified, from the top; the others are `policy`. Default 10. */
  readonly maxSignatures?: number;
  /** Different hashes of the body that are made. Default 4. */
  readonly maxBodyHashes?: number;
  /** Octets of the header; a larger one makes all signatures `policy`. Default 262,144. */
  readonly maxHeaderBytes?: number;
  /** Characters of a key record. Default 4,096. */
  readonly maxKeyRecord?: number;
  /** Bits that an RSA key has to have (RFC 8301 3.2). Default 1,024. */
  readonly minRsaBits?: number;
  /** Bits that an RSA key may have; a larger one is slow to verify. Default 8,192. */
  readonly maxRsaBits?: number;
  /** Seconds that the clocks of signer and verifier may differ. Default 300. */
  readonly clockSkew?: number;
  /** Whether header values come with the space behind the colon (`headerLeadingSpace`). Default false. */
  readonly leadingSpace?: boolean;
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<DkimVerifierOptions> = {
  resolver: true,
  maxSignatures: true,
  maxBodyHashes: true,
  maxHeaderBytes: true,
  maxKeyRecord: true,
  minRsaBits: true,
  maxRsaBits: true,
  clockSkew: true,
  leadingSpace: true,
  now: true,
};

const PREFIX_LENGTH = 8;
const SIGNATURE_FIELD = 'dkim-signature';

/** A signature on its way: its key is asked for, its body hash is made. */
interface Candidate {
  readonly field: HeaderField;
  readonly parsed: ParsedSignature;
  readonly key?: Promise<KeyLookup>;
  /** Why it is not even tried. */
  readonly refused?: { result: DkimResultName; reason: string };
}

/**
 * Verifies all signatures of a message in one pass, in constant memory. Call {@link header} for each field,
 * {@link eoh}, {@link body} for each chunk and {@link eom}, as libmilter calls a filter. Make one for each message.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option. Nothing in a message makes it throw.
 */
export class DkimVerifier {
  readonly #options: Required<DkimVerifierOptions>;
  readonly #headers = new HeaderBlock();
  readonly #hashes: BodyHashes;
  readonly #keys: KeyLookups;
  #candidates: Candidate[] = [];

  constructor(options: DkimVerifierOptions) {
    checkOptions('DkimVerifier', options, OPTIONS);
    this.#options = {
      maxSignatures: 10,
      maxBodyHashes: 4,
      maxHeaderBytes: 262_144,
      maxKeyRecord: 4096,
      minRsaBits: 1024,
      maxRsaBits: 8192,
      clockSkew: 300,
      leadingSpace: false,
      now: Date.now,
      ...options,
    };
    const { maxSignatures, maxBodyHashes, maxHeaderBytes, maxKeyRecord, minRsaBits, maxRsaBits, clockSkew } =
      this.#options;
    const numbers = {
      maxSignatures,
      maxBodyHashes,
      maxHeaderBytes,
      maxKeyRecord,
      minRsaBits,
      maxRsaBits,
      clockSkew,
    };
    for (const [name, value] of Object.entries(numbers)) checkInteger(`DkimVerifier: ${name}`, value, 0);
    this.#hashes = new BodyHashes(maxBodyHashes);
    this.#keys = new KeyLookups(options.resolver, maxKeyRecord);
  }

  /** Takes a header field, from the top of the message on. Folds may end with LF or CRLF. */
  header(name: string, value: string | Uint8Array): void {
    // Above the limit nothing is verified, so nothing more has to be kept.
    if (this.#headers.bytes > this.#options.maxHeaderBytes) return;
    this.#headers.add(headerField(name, value, this.#options.leadingSpace));
  }

  /** Takes the end of the header: key records are asked for from now on. */
  eoh(): void {
    const tooLarge = this.#headers.bytes > this.#options.maxHeaderBytes;
    this.#candidates = this.#headers.all(SIGNATURE_FIELD).map((field, index) => {
      const parsed = parseSignature(field.value);
      if (tooLarge) return { field, parsed, refused: policy('the header is too large (maxHeaderBytes)') };
      if (index >= this.#options.maxSignatures) {
        return { field, parsed, refused: policy('there are too many signatures (maxSignatures)') };
      }
      return this.#begin(field, parsed);
    });
  }

  /** Takes a chunk of the body. */
  body(chunk: Uint8Array): void {
    this.#hashes.update(chunk);
  }

  /** Ends the message. @returns a result for each DKIM-Signature field, from the top; none for an unsigned message */
  async eom(): Promise<DkimResult[]> {
    this.#hashes.end();
    return await Promise.all(this.#candidates.map((candidate) => this.#resultOf(candidate)));
  }

  #begin(field: HeaderField, parsed: ParsedSignature): Candidate {
    const { signature } = parsed;
    if (typeof signature === 'string') {
      return { field, parsed, refused: { result: 'permerror', reason: signature } };
    }
    const expired = this.#timeFault(signature);
    if (expired !== undefined) return { field, parsed, refused: { result: 'fail', reason: expired } };
    if (!this.#hashes.request(signature.bodyCanonicalization, signature.length)) {
      return { field, parsed, refused: policy('there are too many different body hashes (maxBodyHashes)') };
    }
    return { field, parsed, key: this.#keys.get(signature.selector, signature.domain) };
  }

  #timeFault({ signedAt, expiresAt }: Signature): string | undefined {
    const now = this.#options.now() / 1000;
    if (expiresAt !== undefined && expiresAt + this.#options.clockSkew < now)
      return 'the signature has expired';
    if (signedAt !== undefined && signedAt - this.#options.clockSkew > now) {
      return 'the signature was made in the future';
    }
    return undefined;
  }

  async #resultOf({ field, parsed, key, refused }: Candidate): Promise<DkimResult> {
    const { signature } = parsed;
    const facts = resultFacts(parsed);
    if (refused || typeof signature === 'string' || !key) return { ...facts, ...refused } as DkimResult;
    const lookup = await key;
    if (!('keys' in lookup)) {
      return { ...facts, result: lookup.temporary ? 'temperror' : 'permerror', reason: lookup.reason };
    }
    let last: DkimResult | undefined;
    for (const record of lookup.keys) {
      const fault = this.#faultOf(field, signature, record);
      const about = { ...facts, keyBits: record.bits, ...(record.testing ? { testing: true } : {}) };
      if (!fault) return { ...about, result: 'pass' };
      last ??= { ...about, ...fault };
    }
    return last as DkimResult;
  }

  #faultOf(
    field: HeaderField,
    signature: Signature,
    record: KeyRecord,
  ): { result: DkimResultName; reason: string } | undefined {
    const { minRsaBits, maxRsaBits } = this.#options;
    if (record.keyType !== signature.keyType) {
      return { result: 'permerror', reason: 'the key is not of the algorithm of the signature' };
    }
    if (record.strict && signature.identityDomain !== signature.domain) {
      return { result: 'permerror', reason: 'the key is not for subdomains (t=s), and i= is one' };
    }
    if (record.keyType === 'rsa' && (record.bits < minRsaBits || record.bits > maxRsaBits)) {
      return policy(`the RSA key has ${record.bits} bits (minRsaBits, maxRsaBits)`);
    }
    const body = this.#hashes.result(signature.bodyCanonicalization, signature.length);
    if (!body) return { result: 'permerror', reason: 'the body was not hashed' };
    if (signature.length !== Infinity && signature.length > body.bodyLength) {
      return { result: 'permerror', reason: 'l= is larger than the body' };
    }
    if (!body.digest.equals(signature.bodyHash)) {
      return { result: 'fail', reason: 'the body is not what was signed' };
    }
    if (!verifySignature(this.#signedBytes(field, signature), signature, record)) {
      return { result: 'fail', reason: 'the header is not what was signed, or the key is another one' };
    }
    return undefined;
  }

  #signedBytes(field: HeaderField, signature: Signature): Buffer {
    const how = signature.headerCanonicalization;
    const own = canonicalHeader({ ...field, value: withoutValue(field.value, 'b') }, how);
    return Buffer.from(this.#headers.signedText(signature.signedHeaders, how, field) + own, 'latin1');
  }
}

function policy(reason: string): { result: DkimResultName; reason: string } {
  return { result: 'policy', reason };
}

/** RSA signs a SHA-256 of the text (RFC 6376 3.3.2), Ed25519 the SHA-256 itself (RFC 8463 3). */
function verifySignature(text: Buffer, { data }: Signature, { keyType, key }: KeyRecord): boolean {
  try {
    return keyType === 'rsa' ? verify('sha256', text, key, data) : verify(null, sha256(text), key, data);
  } catch {
    return false; // a signature of a length that the key cannot have made
  }
}

function resultFacts({ facts, signature }: ParsedSignature): Omit<DkimResult, 'result'> {
  const valid = typeof signature === 'string' ? undefined : signature;
  const known = {
    domain: valid?.domain ?? facts.domain,
    identity: facts.identity,
    selector: valid?.selector ?? facts.selector,
    algorithm: facts.algorithm,
    signaturePrefix: facts.data?.slice(0, PREFIX_LENGTH),
    length: valid && valid.length !== Infinity ? valid.length : undefined,
    signedHeaders: valid?.signedHeaders,
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}
