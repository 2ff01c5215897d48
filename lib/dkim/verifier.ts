/** Verifying the DKIM signatures of a message while it comes (RFC 6376 6). */
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { type HeaderField, headerField } from './canonical-header.js';
import type { TxtResolver } from './key-lookup.js';
import { type ParsedSignature, parseSignature } from './signature.js';
import { type Checked, SignedMessage } from './signed-message.js';

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
  /** The identity (`i=`), decoded, by default `@` and the domain. Its domain is written as `domain` is. */
  readonly identity?: string;
  /** The selector (`s=`). */
  readonly selector?: string;
  /** The algorithm (`a=`). */
  readonly algorithm?: string;
  /** The number of signed octets of the body (`l=`), if not all of it is signed. The rest may have been added later. */
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
  readonly parsed: ParsedSignature;
  /** Gives the result, once the body has ended. */
  readonly check: () => Promise<Checked>;
}

/** What verifies other signatures of the same message in the same pass over its body. */
export interface PassMember {
  /** Called at the end of the header: the last moment to ask for a hash of the body. */
  begin(message: SignedMessage): void;
}

/**
 * Verifies all signatures of a message in one pass, in constant memory. Call {@link header} for each field,
 * {@link eoh}, {@link body} for each chunk and {@link eom}, as libmilter calls a filter. Make one for each message.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option. Nothing in a message makes it throw.
 */
export class DkimVerifier {
  readonly #options: Required<DkimVerifierOptions>;
  readonly #message: SignedMessage;
  readonly #members: PassMember[] = [];
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
    this.#message = new SignedMessage(this.#options);
  }

  /** Takes a header field, from the top of the message on. Folds may end with LF or CRLF. */
  header(name: string, value: string | Uint8Array): void {
    // Above the limit nothing is verified, so nothing more has to be kept.
    if (this.#message.tooLarge) return;
    this.#message.headers.add(headerField(name, value, this.#options.leadingSpace));
  }

  /** Takes the end of the header: key records are asked for from now on. */
  eoh(): void {
    this.#candidates = this.#message.headers.all(SIGNATURE_FIELD).map((field, index) => {
      const parsed = parseSignature(field.value);
      return { parsed, check: this.#begin(field, parsed, index) };
    });
    for (const member of this.#members) member.begin(this.#message);
  }

  /** Takes a chunk of the body. */
  body(chunk: Uint8Array): void {
    this.#message.hashes.update(chunk);
  }

  /** Ends the message. @returns a result for each DKIM-Signature field, from the top; none for an unsigned message */
  async eom(): Promise<DkimResult[]> {
    this.#message.end();
    return await Promise.all(
      this.#candidates.map(async ({ parsed, check }) => ({ ...resultFacts(parsed), ...(await check()) })),
    );
  }

  /**
   * Adds what verifies other signatures of the message; before {@link eoh}.
   *
   * @internal
   */
  join(member: PassMember): void {
    this.#members.push(member);
  }

  #begin(field: HeaderField, { signature }: ParsedSignature, index: number): () => Promise<Checked> {
    const refused = (result: DkimResultName, reason: string) => async () => ({ result, reason });
    if (this.#message.tooLarge) return refused('policy', 'the header is too large (maxHeaderBytes)');
    if (index >= this.#options.maxSignatures) {
      return refused('policy', 'there are too many signatures (maxSignatures)');
    }
    if (typeof signature === 'string') return refused('permerror', signature);
    return this.#message.begin(field, signature);
  }
}

function resultFacts({ facts, signature }: ParsedSignature): Omit<DkimResult, 'result'> {
  const valid = typeof signature === 'string' ? undefined : signature;
  const known = {
    domain: valid?.domain ?? facts.domain,
    identity: valid ? withDomain(facts.identity ?? '', valid.identityDomain) : facts.identity,
    selector: valid?.selector ?? facts.selector,
    algorithm: facts.algorithm,
    signaturePrefix: facts.data?.slice(0, PREFIX_LENGTH),
    length: valid && valid.length !== Infinity ? valid.length : undefined,
    signedHeaders: valid?.signedHeaders,
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}

function withDomain(address: string, domain: string): string {
  return address.slice(0, address.lastIndexOf('@') + 1) + domain;
}
