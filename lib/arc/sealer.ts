/** Sealing a message that is passed on: adding an ARC Set to it (RFC 8617 5.1). */
import { type AuthRes, formatAuthRes } from '../authres/index.js';
import { BodyHashes } from '../dkim/body-hash.js';
import { canonicalHeader, type HeaderField, headerField } from '../dkim/canonical-header.js';
import { FoldedTags } from '../dkim/fold.js';
import { DEFAULT_SIGNED_HEADERS, type DkimKey } from '../dkim/index.js';
import { checkSignedNames, HeaderBlock } from '../dkim/signed-headers.js';
import { type CheckedKey, checkedKey, signText } from '../dkim/signing-key.js';
import { badArgument } from '../internal/errors.js';
import { checkBooleans, checkOptions, type OptionNames } from '../internal/validate.js';
import { arcAuthRes } from './authres.js';
import { endOfChain, type FieldSet, readChain } from './chain.js';
import { MESSAGE_SIGNATURE_FIELD, RESULTS_FIELD, SEAL_FIELD } from './fields.js';
import { MAX_INSTANCE } from './instance.js';
import type { ArcResult, ChainStatus } from './types.js';

/** How messages are sealed. */
export interface ArcSealerOptions {
  /** The key, and the name of its public half in DNS. A set has one signing algorithm; few verifiers know Ed25519 here yet. */
  readonly key: DkimKey;
  /**
   * Names of the fields that the ARC-Message-Signature covers if they are present. Default: those of DkimSigner, and
   * DKIM-Signature. From always is; Authentication-Results and the fields of ARC must not be (RFC 8617 4.1.2).
   */
  readonly headers?: readonly string[];
  /** Names that are signed once more than they occur. Default: From. */
  readonly oversign?: readonly string[];
  /** Whether header values come with the space behind the colon (`headerLeadingSpace`). Default: false. */
  readonly leadingSpace?: boolean;
  /** Leave characters beyond ASCII in the results as they are: for messages with SMTPUTF8 only. Default: false. */
  readonly utf8?: boolean;
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

/** What a set says of the message. */
export interface ArcEvidence {
  /** The chain as it was when the message arrived: the result of an `ArcVerifier`. */
  readonly arc: ArcResult;
  /** All results of this host (RFC 8617 4.1.1). `arc=` is added if it is missing. */
  readonly authRes: AuthRes;
}

/** A set to be added, or why there is none. */
export interface ArcSealing {
  /** Fields to be added at the top one after another: `this.addheader(name, value, 0)`. Empty if the message is not sealed. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** `i=` of the new set. */
  readonly instance?: number;
  /** `cv=` of the new set. */
  readonly chainStatus?: ChainStatus;
  /** Why the message is not sealed. */
  readonly reason?: string;
}

const OPTIONS: OptionNames<ArcSealerOptions> = {
  key: true,
  headers: true,
  oversign: true,
  leadingSpace: true,
  utf8: true,
  now: true,
};
const NEVER_SIGNED: ReadonlySet<string> = new Set(
  ['Authentication-Results', RESULTS_FIELD, MESSAGE_SIGNATURE_FIELD, SEAL_FIELD].map((name) =>
    name.toLowerCase(),
  ),
);
const HOW = 'relaxed';

/**
 * Seals a message. Call {@link header} for each field, {@link eoh}, {@link body} for each chunk and {@link eom}. What is
 * sealed must be what is delivered: all other changes, DKIM signatures too, come before (RFC 8617 5.1). Make one for each message.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option, ERR_MILTER_BAD_KEY for a key that cannot sign
 */
export class ArcSealer {
  readonly #options: ArcSealerOptions;
  readonly #key: CheckedKey;
  readonly #headers = new HeaderBlock();
  readonly #hashes = new BodyHashes(1);

  constructor(options: ArcSealerOptions) {
    checkOptions('ArcSealer', options, OPTIONS);
    const { leadingSpace = false, utf8 = false } = options;
    checkBooleans('ArcSealer: ', { leadingSpace, utf8 });
    const names = [...(options.headers ?? []), ...(options.oversign ?? [])];
    checkSignedNames('ArcSealer', names);
    const refused = names.find((name) => NEVER_SIGNED.has(name.toLowerCase()));
    if (refused !== undefined) throw badArgument(`ArcSealer: ${refused} must not be signed (RFC 8617 4.1.2)`);
    this.#options = options;
    this.#key = checkedKey('ArcSealer', options.key);
    this.#hashes.request(HOW, Infinity);
  }

  /** Takes a header field, from the top on, as it will be delivered. The fields of ARC are those that the message came with. */
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
   * A chain that fails is sealed once, as failed, by who finds that out; after that nothing is added (5.1, step 2). A chain
   * that DNS cannot tell is not sealed, since a seal could only say that it has failed, for good.
   *
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a message without From, for a result that is not of this message's chain, and
   *   for results that `formatAuthRes` refuses
   */
  async eom({ arc, authRes }: ArcEvidence): Promise<ArcSealing> {
    this.#hashes.end();
    if (this.#headers.count('from') === 0)
      throw badArgument('ArcSealer: a message without From cannot be sealed');
    if (arc.result === 'temperror')
      return notSealed(`the chain cannot be verified at present: ${arc.reason}`);
    const end = endOfChain(this.#headers);
    if (arc.result === 'fail' && end.failed) return notSealed('the chain is sealed as failed already');
    const instance = end.instance + 1;
    if (instance > MAX_INSTANCE) return notSealed(`the message has ${MAX_INSTANCE} sets already`);
    const older = arc.result === 'fail' ? [] : this.#chain(arc);
    return { fields: await this.#set(instance, arc, authRes, older), instance, chainStatus: arc.result };
  }

  /** The sets that the seal covers besides its own. */
  #chain({ result, sets }: ArcResult): readonly FieldSet[] {
    const chain = readChain(this.#headers);
    const length = 'fault' in chain ? undefined : chain.length;
    if (length !== sets.length || length > 0 !== (result === 'pass')) {
      throw badArgument('ArcSealer: arc is not the result of the chain of this message');
    }
    return chain as readonly FieldSet[];
  }

  async #set(
    instance: number,
    arc: ArcResult,
    authRes: AuthRes,
    older: readonly FieldSet[],
  ): Promise<ArcSealing['fields']> {
    const { utf8 = false, leadingSpace = false } = this.#options;
    const hasArc = authRes.results.some(({ method }) => method === 'arc');
    const all = hasArc ? authRes : { ...authRes, results: [...authRes.results, arcAuthRes(arc)] };
    const seconds = String(Math.floor((this.#options.now ?? Date.now)() / 1000));
    const results = [RESULTS_FIELD, `i=${instance}; ${formatAuthRes(all, { utf8 })}`] as const;
    const signature = [MESSAGE_SIGNATURE_FIELD, await this.#messageSignature(instance, seconds)] as const;
    const before = older.flatMap((set) => [set.results, set.messageSignature, set.sealField]);
    const covered = [...before, newField(...results), newField(...signature)];
    const text = covered.map((field) => `${canonicalHeader(field, HOW)}\r\n`).join('');
    const seal = [SEAL_FIELD, await this.#seal(instance, seconds, arc.result as ChainStatus, text)] as const;
    return [results, signature, seal].map(([name, value]) => [name, leadingSpace ? ` ${value}` : value]);
  }

  async #messageSignature(instance: number, seconds: string): Promise<string> {
    const { headers = [...DEFAULT_SIGNED_HEADERS, 'dkim-signature'], oversign = ['from'] } = this.#options;
    const names = this.#headers.namesToSign(headers, oversign);
    const body = this.#hashes.result(HOW, Infinity);
    if (!body) throw new Error('the body was not hashed');
    const tags = this.#tags(MESSAGE_SIGNATURE_FIELD, instance, seconds)
      .add('c', `${HOW}/${HOW}`)
      .addList('h', names)
      .addBase64('bh', body.digest.toString('base64'))
      .add('b');
    return await this.#signed(MESSAGE_SIGNATURE_FIELD, tags, this.#headers.signedText(names, HOW));
  }

  #seal(instance: number, seconds: string, status: ChainStatus, covered: string): Promise<string> {
    const tags = this.#tags(SEAL_FIELD, instance, seconds).add('cv', status).add('b');
    return this.#signed(SEAL_FIELD, tags, covered);
  }

  #tags(field: string, instance: number, seconds: string): FoldedTags {
    const { domain, selector, signingKey } = this.#key;
    return new FoldedTags(field)
      .add('i', String(instance))
      .add('a', `${signingKey.keyType}-sha256`)
      .add('d', domain)
      .add('s', selector)
      .add('t', seconds);
  }

  /** The whole value: the tags, which end with an empty `b=`, and the signature of the text and of the field itself. */
  async #signed(name: string, tags: FoldedTags, text: string): Promise<string> {
    const own = canonicalHeader(newField(name, String(tags)), HOW);
    const signature = await signText(this.#key.signingKey, Buffer.from(text + own, 'latin1'));
    return String(tags.continueBase64(signature.toString('base64')));
  }
}

function newField(name: string, value: string): HeaderField {
  return headerField(name, value, false);
}

const notSealed = (reason: string): ArcSealing => ({ fields: [], reason });
