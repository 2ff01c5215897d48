/** Making key pairs, and the DNS records of their public halves (RFC 6376 3.6.1, RFC 8463 4). */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { domainName } from './domain.js';
import type { KeyType } from './signature-tags.js';
import { type PrivateKeyInput, publicKeyText, signingKey } from './signing-key.js';

/** What kind of pair is made. */
export interface KeyPairOptions {
  /** `rsa`, which every verifier knows, or `ed25519`, whose record is short. Default: `rsa`. */
  readonly type?: KeyType;
  /** Bits of an RSA key, 1,024 to 4,096; verifiers need not accept more (RFC 8301 3.2). Default: 2,048. */
  readonly bits?: number;
}

/** What a key record says besides the key. */
export interface KeyRecordOptions {
  /** `t=y`: the domain tries DKIM out. Default: false. */
  readonly testing?: boolean;
  /** `t=s`: the domain of `i=` must be that of `d=`. Default: false. */
  readonly strict?: boolean;
}

const PAIR_OPTIONS: OptionNames<KeyPairOptions> = { type: true, bits: true };
const RECORD_OPTIONS: OptionNames<KeyRecordOptions> = { testing: true, strict: true };

const BITS = 2048;
const MIN_BITS = 1024;
const MAX_BITS = 4096;
/** A character-string of DNS has at most so many octets (RFC 1035 3.3). */
const MAX_STRING = 255;

const generate = promisify(generateKeyPair) as unknown as (
  type: string,
  options: object,
) => Promise<{ privateKey: string; publicKey: string }>;

/**
 * Makes a key pair.
 *
 * @returns the private key as PEM (PKCS#8); {@link formatKeyRecord} makes the DNS record of it
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option
 */
export async function generateKey(options: KeyPairOptions = {}): Promise<string> {
  checkOptions('generateKey', options, PAIR_OPTIONS);
  const { type = 'rsa', bits = BITS } = options;
  if (type !== 'rsa' && type !== 'ed25519') throw badArgument('generateKey: type must be rsa or ed25519');
  checkInteger('generateKey: bits', bits, MIN_BITS, MAX_BITS);
  const { privateKey } = await generate(type, {
    ...(type === 'rsa' && { modulusLength: bits }),
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return privateKey;
}

/**
 * The text of the TXT record that belongs to a private key.
 *
 * @throws MilterError ERR_MILTER_BAD_KEY for what is not a key that can sign mail
 */
export function formatKeyRecord(key: PrivateKeyInput, options: KeyRecordOptions = {}): string {
  checkOptions('formatKeyRecord', options, RECORD_OPTIONS);
  const read = signingKey(key);
  const flags = [...(options.testing ? ['y'] : []), ...(options.strict ? ['s'] : [])];
  const t = flags.length === 0 ? '' : ` t=${flags.join(':')};`;
  return `v=DKIM1; k=${read.keyType};${t} p=${publicKeyText(read)}`;
}

/** The name under which DNS has a key. @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is not a selector or a domain */
export function keyRecordName(selector: string, domain: string): string {
  const [label, zone] = [domainName(selector), domainName(domain)];
  if (label === undefined) throw badArgument(`${JSON.stringify(selector)} is not a selector`);
  if (zone === undefined) throw badArgument(`${JSON.stringify(domain)} is not a domain name`);
  return `${label}._domainkey.${zone}`;
}

/**
 * A record as a line of a zone file (RFC 1035 5.1). Text of more than 255 octets is written as several strings in parentheses,
 * which verifiers put together again.
 */
export function formatZoneLine(name: string, text: string): string {
  const strings: string[] = [];
  for (let at = 0; at < text.length; at += MAX_STRING) strings.push(`"${text.slice(at, at + MAX_STRING)}"`);
  const [first = '""'] = strings;
  return strings.length <= 1 ? `${name}. IN TXT ${first}` : `${name}. IN TXT ( ${strings.join('\n    ')} )`;
}
