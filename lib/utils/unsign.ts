/** Verifies signed return addresses: BATV and SRS. */
import { badArgument } from '../internal/errors.js';
import { checkOptions, type OptionNames } from '../internal/validate.js';
import { batvDaysLeft, isBatvAuthentic, readBatv } from './batv-tag.js';
import { parseAddr } from './parse-addr.js';
import { age } from './srs-day.js';
import { isAuthentic, MIN_HASH_LENGTH } from './srs-hash.js';

/** The keys with which return addresses were signed. */
export interface Signatures {
  /** Keys for BATV (`prvs=` addresses) by the key number in the address, 0 to 9; a single key applies to all numbers. */
  readonly batv?: string | Readonly<Record<number, string>>;
  /** Secrets for SRS (`SRS0=` and `SRS1=` addresses). Any of them is accepted, so that a secret can be replaced by a new one. */
  readonly srs?: string | readonly string[];
  /** Days for which an SRS address is valid. A BATV address contains its own last day. Default: 21. */
  readonly maxAge?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<Signatures> = {
  batv: true,
  srs: true,
  maxAge: true,
  now: true,
};

/** Days of SRS are given modulo 1,024; the last of them is tomorrow. */
const SRS_DAYS = 1024;
const MAX_AGE_DAYS = 21;

/**
 * The original address in a signed return address (pymilter's `unsign`). A bounce is sent to the signed address; it is genuine
 * only if the signature is valid.
 *
 * - BATV (draft-levine-smtp-batv-01): `prvs=0123abcdef=user@example.com` becomes `user@example.com`
 * - SRS: `SRS0=hash=tt=example.org=user@forwarder.example` becomes `user@example.org`, and `SRS1=…` the `SRS0=…` address in it
 *
 * An address is returned unchanged if it is not signed, if its signature is forged or expired, or if no key is configured for
 * it. Thus `unsign(rcpt, signatures) === rcpt` means that there is no valid signature. Angle brackets are preserved. No address
 * makes this throw.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an empty key or secret, or a `maxAge` that is not a number of days
 */
export function unsign(address: string, signatures: Signatures = {}): string {
  const keys = readKeys(signatures);
  const bracketed = address.startsWith('<') && address.endsWith('>');
  const bare = bracketed ? address.slice(1, -1) : address;
  const original = fromBatv(bare, keys) ?? fromSrs(bare, keys);
  if (original === undefined) return address;
  return bracketed ? `<${original}>` : original;
}

interface Keys {
  readonly batv: (number: number) => string | undefined;
  readonly srs: readonly string[];
  readonly maxAge: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

function readKeys(signatures: Signatures): Keys {
  checkOptions('unsign', signatures, OPTIONS);
  const { batv, srs = [], maxAge = MAX_AGE_DAYS, now = Date.now } = signatures;
  const batvKeys = typeof batv === 'string' ? [batv] : Object.values(batv ?? {});
  const secrets = typeof srs === 'string' ? [srs] : srs;
  if ([...batvKeys, ...secrets].some((key) => typeof key !== 'string' || key === '')) {
    throw badArgument('unsign: a key or secret must be a string that is not empty');
  }
  if (!(maxAge >= 0 && maxAge < SRS_DAYS)) {
    throw badArgument(
      `unsign: maxAge must be a number of days from 0 to ${SRS_DAYS - 1}, not ${String(maxAge)}`,
    );
  }
  return {
    batv: (number) => (typeof batv === 'string' ? batv : batv?.[number]),
    srs: secrets,
    maxAge,
    now: now(),
  };
}

/** The last day is given modulo 1000. A day further ahead than this is in the past. */
const MAX_BATV_DAYS = 500;

function fromBatv(address: string, { batv, now }: Keys): string | undefined {
  const parts = readBatv(address);
  if (!parts) return undefined;
  const key = batv(parts.key);
  if (key === undefined || batvDaysLeft(parts, now) > MAX_BATV_DAYS) return undefined;
  return isBatvAuthentic(parts, key) ? parts.original : undefined;
}

const SRS0 = /^SRS0[-+=]([^=]+)=([^=]+)=([^=]+)=(.+)$/is;
const SRS1 = /^SRS1[-+=]([^=]+)=([^=]+)=([-+=].+)$/is;

function fromSrs(address: string, keys: Keys): string | undefined {
  const [user] = parseAddr(address);
  const [, hash1 = '', host1 = '', user1 = ''] = SRS1.exec(user) ?? [];
  if (host1 !== '') return isSrsHash(hash1, [host1, user1], keys) ? `SRS0${user1}@${host1}` : undefined;
  const [, hash = '', day = '', host = '', local = ''] = SRS0.exec(user) ?? [];
  if (host === '' || !isSrsHash(hash, [day, host, local], keys)) return undefined;
  return isRecent(day, keys) ? `${local}@${host}` : undefined;
}

/** A day that is still to come is not accepted: only this site has signed the address, and its clock has not been set back. */
function isRecent(day: string, { now, maxAge }: Keys): boolean {
  const days = age(day, now);
  return days !== undefined && days >= 0 && days <= maxAge;
}

function isSrsHash(hash: string, parts: readonly string[], { srs }: Keys): boolean {
  return hash.length >= MIN_HASH_LENGTH && isAuthentic(hash, srs, ...parts);
}
