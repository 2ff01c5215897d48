/** Making DKIM signatures for a message while it comes (RFC 6376 5). */
import { badArgument } from '../internal/errors.js';
import { checkBooleans, checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { BodyHashes } from './body-hash.js';
import { type Canonicalization, canonicalHeader, headerField } from './canonical-header.js';
import { domainName, isWithin } from './domain.js';
import { FoldedTags } from './fold.js';
import { encodeQuotedPrintable } from './quoted-printable.js';
import { checkSignedNames, HeaderBlock } from './signed-headers.js';
import { type CheckedKey, checkedKey, type DkimKey, signText } from './signing-key.js';

/** How a message is signed. */
export interface DkimSignerOptions {
  /** One signature is made for each: an RSA and an Ed25519 key together, say. */
  readonly keys: readonly DkimKey[];
  /** Names of the fields that are signed if they are present. Default: {@link DEFAULT_SIGNED_HEADERS}. From always is. */
  readonly headers?: readonly string[];
  /** Names that are signed once more than they occur, so that adding another such field breaks the signature. Default: From. */
  readonly oversign?: readonly string[];
  /** `c=`, header and body. Default: `relaxed/relaxed`. */
  readonly canonicalization?: `${Canonicalization}/${Canonicalization}`;
  /** `i=`: an address, or `@` and a domain, within the domain of every key. Default: none is written. */
  readonly identity?: string;
  /** Write `l=` with the length of the body, so that text may be added below it unsigned. Default false: do not. */
  readonly bodyLength?: boolean;
  /** Seconds until the signature expires (`x=`). Default: it does not. */
  readonly expiresIn?: number;
  /** Whether header values come with the space behind the colon (`headerLeadingSpace`). Default false. */
  readonly leadingSpace?: boolean;
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<DkimSignerOptions> = {
  keys: true,
  headers: true,
  oversign: true,
  canonicalization: true,
  identity: true,
  bodyLength: true,
  expiresIn: true,
  leadingSpace: true,
  now: true,
};

/** What RFC 6376 5.4.1 recommends, and the fields that say how the body is read. */
export const DEFAULT_SIGNED_HEADERS: readonly string[] = [
  'from',
  'sender',
  'reply-to',
  'subject',
  'date',
  'message-id',
  'to',
  'cc',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
  'content-id',
  'content-description',
  'resent-date',
  'resent-from',
  'resent-to',
  'resent-cc',
  'resent-message-id',
  'in-reply-to',
  'references',
  'list-id',
  'list-help',
  'list-unsubscribe',
  'list-unsubscribe-post',
  'list-subscribe',
  'list-post',
  'list-owner',
  'list-archive',
];

const CANONICALIZATION = /^(simple|relaxed)\/(simple|relaxed)$/;
/** Addresses with the local parts that mail has: what RFC 6376 2.11 has to encode of them is the equals sign. */
const IDENTITY = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]*@[^@\s;]+$/;
const FIELD = 'DKIM-Signature';

/**
 * Signs a message with one or more keys. Call {@link header} for each field, {@link eoh}, {@link body} for each chunk and
 * {@link eom}. Make one for each message; keys that were read already (KeyObject) cost nothing to pass again.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option, ERR_MILTER_BAD_KEY for a key that cannot sign
 */
export class DkimSigner {
  readonly #options: DkimSignerOptions;
  readonly #keys: readonly CheckedKey[];
  readonly #headerHow: Canonicalization;
  readonly #bodyHow: Canonicalization;
  readonly #headers = new HeaderBlock();
  readonly #hashes = new BodyHashes(1);

  constructor(options: DkimSignerOptions) {
    checkOptions('DkimSigner', options, OPTIONS);
    const { leadingSpace = false, bodyLength = false } = options;
    checkBooleans('DkimSigner: ', { leadingSpace, bodyLength });
    const how = CANONICALIZATION.exec(options.canonicalization ?? 'relaxed/relaxed');
    if (!how)
      throw bad('canonicalization must be simple or relaxed for the header, a slash, and one for the body');
    if (options.expiresIn !== undefined) checkInteger('DkimSigner: expiresIn', options.expiresIn, 1);
    checkSignedNames('DkimSigner', [...(options.headers ?? []), ...(options.oversign ?? [])]);
    if (options.keys.length === 0) throw bad('keys must have at least one key');
    this.#options = options;
    this.#keys = options.keys.map((key) => checkedKey('DkimSigner', key));
    this.#headerHow = how[1] as Canonicalization;
    this.#bodyHow = how[2] as Canonicalization;
    if (options.identity !== undefined) this.#checkIdentity(options.identity);
    this.#hashes.request(this.#bodyHow, Infinity);
  }

  /**
   * Takes a header field, from the top on, as it will be delivered: with what this filter changes, and with what the MTA
   * adds itself (docs/dkim.md).
   */
  header(name: string, value: string | Uint8Array): void {
    this.#headers.add(headerField(name, value, this.#options.leadingSpace ?? false));
  }

  /** Takes the end of the header. */
  eoh(): void {}

  /** Takes a chunk of the body. */
  body(chunk: Uint8Array): void {
    this.#hashes.update(chunk);
  }

  /**
   * Ends the message.
   *
   * @returns a DKIM-Signature field for each key, to be added at the top: `this.addheader(name, value, 0)`. The value is
   *     folded with LF and a tab, and begins without the space behind the colon unless `leadingSpace` is on
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a message without From, which cannot be signed (RFC 6376 5.4)
   */
  async eom(): Promise<[name: string, value: string][]> {
    this.#hashes.end();
    if (this.#headers.count('from') === 0) throw bad('a message without From cannot be signed');
    return await Promise.all(
      this.#keys.map(async (key) => [FIELD, await this.#sign(key)] as [string, string]),
    );
  }

  async #sign({ domain, selector, signingKey: key }: CheckedKey): Promise<string> {
    const { identity, expiresIn, bodyLength = false, leadingSpace = false } = this.#options;
    const now = Math.floor((this.#options.now ?? Date.now)() / 1000);
    const { headers = DEFAULT_SIGNED_HEADERS, oversign = ['from'] } = this.#options;
    const names = this.#headers.namesToSign(headers, oversign);
    const body = this.#hashes.result(this.#bodyHow, Infinity);
    if (!body) throw new Error('the body was not hashed');
    const tags = new FoldedTags(FIELD)
      .add('v', '1')
      .add('a', `${key.keyType}-sha256`)
      .add('c', `${this.#headerHow}/${this.#bodyHow}`)
      .add('d', domain)
      .add('s', selector);
    if (identity !== undefined) tags.add('i', encodeQuotedPrintable(identity));
    tags.add('t', String(now));
    if (expiresIn !== undefined) tags.add('x', String(now + expiresIn));
    if (bodyLength) tags.add('l', String(body.bodyLength));
    tags.addList('h', names).addBase64('bh', body.digest.toString('base64')).add('b');
    const unsigned = canonicalHeader(headerField(FIELD, String(tags), false), this.#headerHow);
    const text = Buffer.from(this.#headers.signedText(names, this.#headerHow) + unsigned, 'latin1');
    const signature = await signText(key, text);
    const whole = String(tags.continueBase64(signature.toString('base64')));
    return leadingSpace ? ` ${whole}` : whole;
  }

  #checkIdentity(identity: string): void {
    const domain = domainName(identity.slice(identity.lastIndexOf('@') + 1));
    const within = domain !== undefined && this.#keys.every((key) => isWithin(domain, key.domain));
    if (!IDENTITY.test(identity) || !within) {
      throw bad('identity must be an address, or @ and a domain, within the domain of every key');
    }
  }
}

const bad = (message: string) => badArgument(`DkimSigner: ${message}`);
