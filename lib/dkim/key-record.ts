/** Public keys as DNS has them, under `selector._domainkey.domain` (RFC 6376 3.6.1, RFC 8463 4). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { bareRsaKey } from './rsa-spki.js';
import type { KeyType } from './signature-tags.js';
import { decodeBase64, listItems, parseTagList, type TagList } from './tag-list.js';

export interface KeyRecord {
  readonly keyType: KeyType;
  readonly key: KeyObject;
  /** Of the modulus; 256 for Ed25519. */
  readonly bits: number;
  /** `t=y`: the domain tries DKIM out. */
  readonly testing: boolean;
  /** `t=s`: the domain of `i=` must be that of `d=`. */
  readonly strict: boolean;
}

/** Octets of a raw Ed25519 key (RFC 8032). */
const ED25519_BYTES = 32;
const ED25519_BITS = 256;
/** RSA with a larger exponent is slow to verify, and is not used in practice. */
const MAX_RSA_EXPONENT = 2n ** 33n;

/** Thrown inside this file only: why a record cannot be used. */
class Unusable extends Error {}

/**
 * @param text the strings of a TXT record put together
 * @returns the record, or a human-readable reason why it cannot be used
 */
export function parseKeyRecord(text: string): KeyRecord | string {
  const tags = parseTagList(text);
  if (!tags) return 'the key record is not a tag list, or has a tag twice';
  try {
    return read(tags);
  } catch (error) {
    if (error instanceof Unusable) return error.message;
    throw error;
  }
}

function read(tags: TagList): KeyRecord {
  const version = tags.get('v');
  if (version !== undefined && (version !== 'DKIM1' || tags.keys().next().value !== 'v')) {
    throw new Unusable('the key record does not begin with v=DKIM1');
  }
  const keyType = tags.get('k') ?? 'rsa';
  if (keyType !== 'rsa' && keyType !== 'ed25519') throw new Unusable('the key record has an unknown k=');
  allows(tags.get('h'), ['sha256'], 'the key record does not allow SHA-256 (h=)');
  allows(tags.get('s'), ['*', 'email'], 'the key record is not for mail (s=)');
  const value = tags.get('p');
  if (value === undefined) throw new Unusable('the key record has no p=');
  if (value === '') throw new Unusable('the key is revoked (p= is empty)');
  const bytes = decodeBase64(value);
  if (!bytes) throw new Unusable('the p= of the key record is not base64');
  const flags = listItems(tags.get('t') ?? '');
  const key = keyType === 'rsa' ? rsaKey(bytes) : ed25519Key(bytes);
  const bits = keyType === 'rsa' ? (key.asymmetricKeyDetails?.modulusLength ?? 0) : ED25519_BITS;
  return { keyType, key, bits, testing: flags.includes('y'), strict: flags.includes('s') };
}

function allows(list: string | undefined, words: readonly string[], otherwise: string): void {
  if (list !== undefined && !listItems(list).some((item) => words.includes(item)))
    throw new Unusable(otherwise);
}

/** A SubjectPublicKeyInfo, or the bare RSAPublicKey of RFC 8017 that some domains publish. */
function rsaKey(der: Buffer): KeyObject {
  const key = importedRsaKey(der);
  if (key?.asymmetricKeyType !== 'rsa') throw new Unusable('the p= of the key record is not an RSA key');
  if ((key.asymmetricKeyDetails?.publicExponent ?? 0n) > MAX_RSA_EXPONENT) {
    throw new Unusable('the RSA key has a very large exponent');
  }
  return key;
}

/** OpenSSL 3 takes 0.2 ms for a SubjectPublicKeyInfo and 0.01 ms for the bare key in it, which is taken out first. */
function importedRsaKey(der: Buffer): KeyObject | undefined {
  const attempts = [
    ['pkcs1', bareRsaKey(der)],
    ['spki', der],
    ['pkcs1', der],
  ] as const;
  for (const [type, key] of attempts) {
    try {
      if (key) return createPublicKey({ key, format: 'der', type });
    } catch {
      // the next form is tried
    }
  }
  return undefined;
}

function ed25519Key(raw: Buffer): KeyObject {
  if (raw.length !== ED25519_BYTES) throw new Unusable('the p= of the key record is not an Ed25519 key');
  return createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
}
