/** Private keys, and what they sign with. */
import { createPrivateKey, createPublicKey, KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { badArgument, MilterError } from '../internal/errors.js';
import { domainName } from './domain.js';
import { sha256 } from './sha256.js';
import type { KeyType } from './signature-tags.js';

/**
 * A private key: a KeyObject; PEM text (PKCS#8 or PKCS#1); base64 of the DER of one of these, or of the 32 octets of an
 * Ed25519 key, as dkimpy writes them; or the DER itself.
 */
export type PrivateKeyInput = KeyObject | string | Uint8Array;

/** A key to sign with, and the name under which its public half is in DNS. */
export interface DkimKey {
  /** `d=` */
  readonly domain: string;
  /** `s=` */
  readonly selector: string;
  readonly key: PrivateKeyInput;
}

/** A {@link DkimKey} that has been read and checked. */
export interface CheckedKey {
  readonly domain: string;
  readonly selector: string;
  readonly signingKey: SigningKey;
}

export interface SigningKey {
  readonly keyType: KeyType;
  readonly key: KeyObject;
}

/** RFC 8301 3.2: signers MUST use at least so many bits. */
const MIN_RSA_BITS = 1024;
const ED25519_SEED_BYTES = 32;
/** What stands before the seed in the PKCS#8 form of an Ed25519 key (RFC 8410 7). */
const ED25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

const signInPool = promisify(sign);

/** @throws MilterError ERR_MILTER_BAD_KEY for what is not a private RSA or Ed25519 key that may sign */
export function signingKey(input: PrivateKeyInput): SigningKey {
  const key = input instanceof KeyObject ? input : readKey(input);
  if (key.type !== 'private') throw badKey('it is not a private key');
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return { keyType: 'ed25519', key };
    case 'rsa': {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      if (bits < MIN_RSA_BITS)
        throw badKey(`an RSA key needs at least ${MIN_RSA_BITS} bits, this one has ${bits}`);
      return { keyType: 'rsa', key };
    }
    default:
      throw badKey(`keys of type ${key.asymmetricKeyType} do not sign mail: use RSA or Ed25519`);
  }
}

/**
 * @param where the function that the key is an option of, for messages
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT, ERR_MILTER_BAD_KEY
 */
export function checkedKey(where: string, { domain, selector, key }: DkimKey): CheckedKey {
  const checkedDomain = domainName(domain);
  if (checkedDomain === undefined) {
    throw badArgument(`${where}: ${JSON.stringify(domain)} is not a domain name`);
  }
  const checkedSelector = domainName(selector);
  if (checkedSelector === undefined) {
    throw badArgument(`${where}: ${JSON.stringify(selector)} is not a selector`);
  }
  return { domain: checkedDomain, selector: checkedSelector, signingKey: signingKey(key) };
}

function readKey(input: string | Uint8Array): KeyObject {
  if (typeof input === 'string' && input.includes('-----BEGIN')) {
    return read(() => createPrivateKey(input));
  }
  const der = typeof input === 'string' ? Buffer.from(input, 'base64') : Buffer.from(input);
  if (der.length === ED25519_SEED_BYTES) {
    return read(() =>
      createPrivateKey({ key: Buffer.concat([ED25519_PKCS8_PREFIX, der]), format: 'der', type: 'pkcs8' }),
    );
  }
  return read(
    () => createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }),
    () => createPrivateKey({ key: der, format: 'der', type: 'pkcs1' }),
  );
}

function read(...attempts: readonly (() => KeyObject)[]): KeyObject {
  for (const attempt of attempts) {
    try {
      return attempt();
    } catch {
      // The next form is tried. What OpenSSL says of a key is left out of the message: it may quote it.
    }
  }
  throw badKey(
    'it is neither PEM (PKCS#8, PKCS#1, not encrypted) nor base64 of such a key or of an Ed25519 seed',
  );
}

const badKey = (why: string) =>
  new MilterError('ERR_MILTER_BAD_KEY', `the private key cannot be used: ${why}`);

/** Signs on a thread of libuv's pool, so that other sessions go on meanwhile. */
export async function signText({ keyType, key }: SigningKey, text: Buffer): Promise<Buffer> {
  return keyType === 'rsa' ? signInPool('sha256', text, key) : signInPool(null, sha256(text), key);
}

/** The `p=` of the key record that belongs to a private key. */
export function publicKeyText({ keyType, key }: SigningKey): string {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' });
  // An Ed25519 key is published without its ASN.1 (RFC 8463 4).
  return (keyType === 'rsa' ? der : der.subarray(der.length - ED25519_SEED_BYTES)).toString('base64');
}
