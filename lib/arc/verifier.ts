/** Verifying a message's chain in the same pass over its body as its DKIM signatures (RFC 8617 5.2). */
import { setImmediate } from 'node:timers/promises';
import { parseAuthRes } from '../authres/index.js';
import { canonicalHeader, type HeaderField } from '../dkim/canonical-header.js';
import type { DkimVerifier } from '../dkim/index.js';
import { type Checked, type SignedMessage, unsignedField } from '../dkim/signed-message.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { type Chain, type FieldSet, readChain } from './chain.js';
import type { ArcResult, ArcSet } from './types.js';

/** The limit that concerns chains alone. The others are those of the DkimVerifier. */
export interface ArcVerifierOptions {
  /**
   * Different keys that a chain may need; one that needs more fails. It leaves DNS questions for the rest of the message's
   * authentication. Default 16.
   */
  readonly maxKeys?: number;
}

const OPTIONS: OptionNames<ArcVerifierOptions> = { maxKeys: true };
const MAX_KEYS = 16;

/** The checks of a well-formed chain, begun while the body still comes. */
interface Begun {
  readonly sets: readonly FieldSet[];
  /** Checks of the ARC-Message-Signatures, the oldest first. */
  readonly signatures: readonly (() => Promise<Checked>)[];
  readonly message: SignedMessage;
}

type State = { readonly result: ArcResult } | Begun;

/**
 * Verifies the chain of a message that a DkimVerifier is given: header, hashes of the body and keys are shared. Make it
 * before the verifier's `eoh`; what is fed to the verifier is fed to both.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option. Nothing in a message makes it throw.
 */
export class ArcVerifier {
  readonly #maxKeys: number;
  #state: State = { result: { result: 'none', sets: [] } };

  constructor(verifier: DkimVerifier, options: ArcVerifierOptions = {}) {
    checkOptions('ArcVerifier', options, OPTIONS);
    this.#maxKeys = options.maxKeys ?? MAX_KEYS;
    checkInteger('ArcVerifier: maxKeys', this.#maxKeys, 1);
    if (typeof verifier?.join !== 'function')
      throw badArgument('ArcVerifier: verifier must be a DkimVerifier');
    verifier.join({ begin: (message) => this.#begin(message) });
  }

  /** Ends the message. Before or after the `eom` of the DkimVerifier. @returns the result for the whole chain */
  async eom(): Promise<ArcResult> {
    if ('result' in this.#state) return this.#state.result;
    this.#state.message.end();
    return await resultOf(this.#state);
  }

  #begin(message: SignedMessage): void {
    const chain: Chain = message.tooLarge
      ? { fault: 'the header is too large (maxHeaderBytes)' }
      : readChain(message.headers);
    if ('fault' in chain) {
      this.#state = { result: failed(chain.fault, []) };
    } else if (chain.length > 0) {
      this.#state = this.#beginChain(message, chain);
    }
  }

  #beginChain(message: SignedMessage, sets: readonly FieldSet[]): State {
    const newest = sets[sets.length - 1] as FieldSet;
    if (typeof newest.signature === 'string') {
      return { result: failed(`the newest ARC-Message-Signature: ${newest.signature}`, sets) };
    }
    const names = [newest.signature, ...sets.map(({ seal }) => seal)].map(keyName);
    const known = new Set(names);
    if (known.size > this.#maxKeys) {
      return { result: failed('the chain needs too many different keys (maxKeys)', sets) };
    }
    for (const { seal } of sets.toReversed()) void message.askForKey(seal);
    const signatures = sets.toReversed().map((set) => this.#beginSignature(message, set, known));
    return { message, sets, signatures: signatures.reverse() };
  }

  /** Older signatures say only how long the message has been unchanged, so they may stay unverified. */
  #beginSignature(
    message: SignedMessage,
    { signature, messageSignature }: FieldSet,
    known: Set<string>,
  ): () => Promise<Checked> {
    if (typeof signature === 'string') return async () => ({ result: 'permerror', reason: signature });
    known.add(keyName(signature));
    if (known.size > this.#maxKeys) {
      known.delete(keyName(signature));
      return async () => ({ result: 'policy', reason: 'there are too many different keys (maxKeys)' });
    }
    return message.begin(messageSignature, signature);
  }
}

const keyName = ({ selector, domain }: { selector: string; domain: string }): string =>
  `${selector}._domainkey.${domain}`;

async function resultOf({ sets, signatures, message }: Begun): Promise<ArcResult> {
  const newest = await (signatures[signatures.length - 1] as () => Promise<Checked>)();
  const checks: { what: string; checked: Checked }[] = [
    { what: 'the newest ARC-Message-Signature', checked: newest },
  ];
  const seals = new SealedTexts(sets);
  for (const { instance } of sets.toReversed()) {
    // The first failure ends the work.
    if (checks.some(({ checked }) => isFailure(checked))) break;
    checks.push({
      what: `the ARC-Seal of set ${instance}`,
      checked: await checkSeal(message, sets, instance, seals),
    });
    // The keys may all be known: the next seal is for another turn of the event loop.
    await setImmediate();
  }
  const failure = checks.find(({ checked }) => isFailure(checked));
  if (failure) return failed(`${failure.what}: ${failure.checked.reason}`, sets);
  const unknown = checks.find(({ checked }) => checked.result === 'temperror');
  if (unknown) {
    return {
      result: 'temperror',
      reason: `${unknown.what}: ${unknown.checked.reason}`,
      sets: sets.map(describe),
    };
  }
  return {
    result: 'pass',
    sets: sets.map((set) => ({ ...describe(set), ...authResOf(set) })),
    oldestPass: await oldestPassOf(signatures),
  };
}

/** Whether a check has failed for good. */
const isFailure = ({ result }: Checked): boolean => result !== 'pass' && result !== 'temperror';

/** A seal covers all sets up to its own (RFC 8617 5.1.1). */
async function checkSeal(
  message: SignedMessage,
  sets: readonly FieldSet[],
  instance: number,
  seals: SealedTexts,
): Promise<Checked> {
  const { seal } = sets[instance - 1] as FieldSet;
  const late = message.timeFault({ signedAt: seal.signedAt, expiresAt: undefined });
  if (late) return late;
  return await message.checkKeyed(
    seal,
    () => undefined,
    () => seals.of(instance),
  );
}

/** The texts that seals cover. What the sets below have in them is made canonical once, not for every seal above. */
class SealedTexts {
  readonly #sets: readonly FieldSet[];
  readonly #whole: string[] = [];

  constructor(sets: readonly FieldSet[]) {
    this.#sets = sets;
  }

  of(instance: number): string {
    while (this.#whole.length < instance - 1) {
      const { results, messageSignature, sealField } = this.#sets[this.#whole.length] as FieldSet;
      this.#whole.push(lines(results, messageSignature, sealField));
    }
    const { results, messageSignature, sealField } = this.#sets[instance - 1] as FieldSet;
    const below = this.#whole.slice(0, instance - 1).join('');
    return below + lines(results, messageSignature) + unsignedField(sealField, 'relaxed');
  }
}

/** Fields in their canonical form, each with CRLF. */
function lines(...fields: readonly HeaderField[]): string {
  return fields.map((field) => `${canonicalHeader(field, 'relaxed')}\r\n`).join('');
}

/** RFC 8617 5.2, step 5: from the newest down, up to the first that does not verify. */
async function oldestPassOf(signatures: readonly (() => Promise<Checked>)[]): Promise<number> {
  for (let instance = signatures.length - 1; instance >= 1; instance--) {
    const { result } = await (signatures[instance - 1] as () => Promise<Checked>)();
    if (result !== 'pass') return instance + 1;
    await setImmediate();
  }
  return 0;
}

function failed(reason: string, sets: readonly FieldSet[]): ArcResult {
  return { result: 'fail', reason, sets: sets.map(describe) };
}

function describe({ instance, seal }: FieldSet): ArcSet {
  const { domain, selector, algorithm, chainStatus, signedAt } = seal;
  return {
    instance,
    domain,
    selector,
    algorithm,
    chainStatus,
    ...(signedAt === undefined ? {} : { signedAt }),
  };
}

function authResOf({ resultsText }: FieldSet): Pick<ArcSet, 'authRes'> {
  const authRes = parseAuthRes(Buffer.from(resultsText, 'latin1').toString('utf8'));
  return authRes ? { authRes } : {};
}
