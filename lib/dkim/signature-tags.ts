/** Reading the tags that every signature has: DKIM-Signature, and the fields of ARC (RFC 6376 3.5, RFC 8617 4.1). */
import { domainName } from './domain.js';
import { decodeBase64, type TagList } from './tag-list.js';

/** Signing algorithms, without the hash, which is SHA-256 for all that may be used (RFC 8301, RFC 8463). */
export type KeyType = 'rsa' | 'ed25519';

/** Thrown while a signature's tags are read: why it is invalid. {@link readTags} catches it. */
export class Invalid extends Error {}

/** Runs a reader. @returns what it has read, or a human-readable reason why the signature is invalid */
export function readTags<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof Invalid) return error.message;
    throw error;
  }
}

const UNSIGNED = /^[0-9]+$/;
/** RFC 6376 3.5: values of t= and x= may have so many digits. */
const MAX_TIME_DIGITS = 12;

export function required(tags: TagList, name: string): string {
  const value = tags.get(name);
  if (value === undefined || value === '') throw new Invalid(`${name}= is missing or empty`);
  return value;
}

export function base64(tags: TagList, name: string): Buffer {
  const bytes = decodeBase64(required(tags, name));
  if (!bytes) throw new Invalid(`${name}= is not base64`);
  return bytes;
}

export function keyTypeOf(algorithm: string): KeyType {
  if (algorithm === 'rsa-sha256') return 'rsa';
  if (algorithm === 'ed25519-sha256') return 'ed25519';
  if (algorithm === 'rsa-sha1') throw new Invalid('a=rsa-sha1 must not be used any more (RFC 8301)');
  throw new Invalid('a= is an unknown algorithm');
}

/** `d=` and `s=`: under which name the key is. */
export function keyNameOf(tags: TagList): { domain: string; selector: string } {
  const domain = domainName(required(tags, 'd'));
  if (domain === undefined) throw new Invalid('d= is not a domain name');
  const selector = domainName(required(tags, 's'));
  if (selector === undefined) throw new Invalid('s= is not a selector');
  return { domain, selector };
}

/** `t=` or `x=`, in seconds since 1970. */
export function timeOf(tags: TagList, name: 't' | 'x'): number | undefined {
  const value = tags.get(name);
  if (value === undefined) return undefined;
  if (!UNSIGNED.test(value) || value.length > MAX_TIME_DIGITS) throw new Invalid(`${name}= is not a time`);
  return Number(value);
}
