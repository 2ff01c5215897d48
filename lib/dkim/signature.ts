/** DKIM-Signature fields: what a verifier has to know of one, and what makes one invalid (RFC 6376 3.5 and 6.1.1). */
import { decodeBytes } from '../internal/bytes.js';
import type { Canonicalization } from './canonical-header.js';
import { domainName, isWithin } from './domain.js';
import { decodeQuotedPrintable } from './quoted-printable.js';
import {
  base64,
  Invalid,
  type KeyType,
  keyNameOf,
  keyTypeOf,
  readTags,
  required,
  timeOf,
} from './signature-tags.js';
import { listItems, parseTagList, removeSpace, type TagList } from './tag-list.js';

export interface Signature {
  readonly keyType: KeyType;
  readonly data: Buffer;
  readonly bodyHash: Buffer;
  readonly headerCanonicalization: Canonicalization;
  readonly bodyCanonicalization: Canonicalization;
  readonly domain: string;
  readonly selector: string;
  /** Lower-case names, from first to last. */
  readonly signedHeaders: readonly string[];
  /** The domain of `i=`, or `domain`. */
  readonly identityDomain: string;
  /** Octets of the body that are signed; Infinity for all. */
  readonly length: number;
  /** Seconds since 1970. */
  readonly signedAt: number | undefined;
  readonly expiresAt: number | undefined;
}

/** What a report can say of a signature, valid or not: text without folds. */
export interface SignatureFacts {
  /** `a=` */
  readonly algorithm: string | undefined;
  /** `d=` */
  readonly domain: string | undefined;
  /** `s=` */
  readonly selector: string | undefined;
  /** `i=`, decoded, or what it is when absent. */
  readonly identity: string | undefined;
  /** `b=`: its first characters tell signatures of a message apart (RFC 6008). */
  readonly data: string | undefined;
}

export interface ParsedSignature {
  readonly facts: SignatureFacts;
  /** The signature, or a human-readable reason why it is invalid. */
  readonly signature: Signature | string;
}

const WHITE_SPACE = /[\t\n\r ]+/g;
const UNSIGNED = /^[0-9]+$/;
/** RFC 6376 3.5: the value of l= may have so many digits. */
const MAX_LENGTH_DIGITS = 76;
const SHA256_BYTES = 32;
/** A header's name of RFC 5322 2.2: printable ASCII but the colon; here also without the semicolon. */
const FIELD_NAME = /^[\x21-\x39\x3c-\x7e]+$/;

/** @param value what stands after the colon of a DKIM-Signature field */
export function parseSignature(value: string): ParsedSignature {
  const tags = parseTagList(value);
  if (!tags) return { facts: NOTHING, signature: 'not a tag list, or a tag is there twice' };
  const signature = readTags(() => {
    if (required(tags, 'v') !== '1') throw new Invalid('v= is not 1');
    return readSignature(tags, identityOf(tags));
  });
  return { facts: factsOf(tags), signature };
}

const NOTHING: SignatureFacts = {
  algorithm: undefined,
  domain: undefined,
  selector: undefined,
  identity: undefined,
  data: undefined,
};

function factsOf(tags: TagList): SignatureFacts {
  const fact = (name: string) => textOf(tags.get(name)?.replace(WHITE_SPACE, ' '));
  const domain = fact('d');
  const data = fact('b');
  return {
    algorithm: fact('a'),
    domain,
    selector: fact('s'),
    identity: textOf(identityOf(tags)) ?? (domain === undefined ? undefined : `@${domain}`),
    data: data === undefined ? undefined : removeSpace(data),
  };
}

/** Bytes as text (RFC 8616). */
function textOf(bytes: string | undefined): string | undefined {
  return bytes === undefined ? undefined : decodeBytes(Buffer.from(bytes, 'latin1'));
}

/** The `i=` of a DKIM-Signature. */
function identityOf(tags: TagList): string | undefined {
  const value = tags.get('i');
  return value === undefined ? undefined : decodeQuotedPrintable(value);
}

/**
 * Reads what a DKIM-Signature and an ARC-Message-Signature have in common.
 *
 * @param identity the `i=` of a DKIM-Signature, decoded
 * @throws Invalid
 */
export function readSignature(tags: TagList, identity?: string): Signature {
  const keyType = keyTypeOf(required(tags, 'a'));
  const data = base64(tags, 'b');
  const bodyHash = base64(tags, 'bh');
  if (bodyHash.length !== SHA256_BYTES) throw new Invalid('bh= has not the length of a SHA-256 hash');
  const { domain, selector } = keyNameOf(tags);
  const [headerCanonicalization, bodyCanonicalization] = canonicalizationsOf(tags.get('c'));
  if (!listItems(tags.get('q') ?? 'dns/txt').includes('dns/txt')) throw new Invalid('q= has no dns/txt');
  const signedAt = timeOf(tags, 't');
  const expiresAt = timeOf(tags, 'x');
  if (signedAt !== undefined && expiresAt !== undefined && expiresAt <= signedAt) {
    throw new Invalid('x= is not after t=');
  }
  return {
    keyType,
    data,
    bodyHash,
    headerCanonicalization,
    bodyCanonicalization,
    domain,
    selector,
    signedHeaders: signedHeadersOf(required(tags, 'h')),
    identityDomain: identityDomainOf(identity, domain),
    length: lengthOf(tags.get('l')),
    signedAt,
    expiresAt,
  };
}

function canonicalizationsOf(value = 'simple/simple'): [header: Canonicalization, body: Canonicalization] {
  // One word is the header's; the body's is then simple.
  const [header, body = 'simple', ...more] = value.split('/');
  if (!isCanonicalization(header) || !isCanonicalization(body) || more.length > 0) {
    throw new Invalid('c= is an unknown canonicalization');
  }
  return [header, body];
}

const isCanonicalization = (word: string | undefined): word is Canonicalization =>
  word === 'simple' || word === 'relaxed';

function signedHeadersOf(value: string): string[] {
  const names = listItems(value).map((name) => name.toLowerCase());
  if (!names.every((name) => FIELD_NAME.test(name)))
    throw new Invalid('h= has something that is not a header name');
  if (!names.includes('from')) throw new Invalid('h= does not contain From');
  return names;
}

function identityDomainOf(identity: string | undefined, domain: string): string {
  if (identity === undefined) return domain;
  const at = identity.lastIndexOf('@');
  const found = at < 0 ? undefined : domainName(identity.slice(at + 1));
  if (found === undefined || !isWithin(found, domain)) throw new Invalid('i= is not within d=');
  return found;
}

function lengthOf(value: string | undefined): number {
  if (value === undefined) return Infinity;
  if (!UNSIGNED.test(value) || value.length > MAX_LENGTH_DIGITS) throw new Invalid('l= is not a number');
  return Number(value);
}
