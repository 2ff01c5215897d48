/** The three fields of an ARC Set: what a verifier has to know of each, and what makes one invalid (RFC 8617 4.1). */
import { readSignature, type Signature } from '../dkim/signature.js';
import { base64, Invalid, keyNameOf, keyTypeOf, readTags, required, timeOf } from '../dkim/signature-tags.js';
import type { KeyedSignature } from '../dkim/signed-message.js';
import { parseTagList, type TagList } from '../dkim/tag-list.js';
import { instanceNumber, splitInstance } from './instance.js';
import type { ChainStatus } from './types.js';

export const RESULTS_FIELD = 'ARC-Authentication-Results';
export const MESSAGE_SIGNATURE_FIELD = 'ARC-Message-Signature';
export const SEAL_FIELD = 'ARC-Seal';

export interface Seal extends KeyedSignature {
  readonly algorithm: string;
  readonly chainStatus: ChainStatus;
  readonly signedAt: number | undefined;
}

/**
 * A field's instance, and what it says, read when it is needed.
 *
 * @typeParam T - what it says, or a human-readable reason why it is invalid
 */
export interface ArcField<T> {
  readonly instance: number;
  read(): T;
}

/** An ARC-Authentication-Results field. Its text is that of an Authentication-Results field. */
export function resultsField(value: string): ArcField<string> | undefined {
  const split = splitInstance(value);
  const instance = instanceNumber(split?.position ?? '');
  // A second instance tag would stand where the authserv-id has to be.
  if (!split || instance === undefined || splitInstance(split.rest)) return undefined;
  return { instance, read: () => split.rest };
}

/** An ARC-Message-Signature field: a DKIM-Signature without `v=` and with another `i=`. */
export function messageSignatureField(value: string): ArcField<Signature | string> | undefined {
  return signatureField(value, (tags) => {
    const signature = readSignature(tags);
    // The seals are made after this field, and are added to later (RFC 8617 4.1.2).
    if (signature.signedHeaders.includes('arc-seal')) throw new Invalid('h= contains ARC-Seal');
    return signature;
  });
}

/** An ARC-Seal field. */
export function sealField(value: string): ArcField<Seal | string> | undefined {
  return signatureField(value, (tags) => {
    if (tags.has('h')) throw new Invalid('h= is not allowed');
    const keyType = keyTypeOf(required(tags, 'a'));
    return {
      keyType,
      algorithm: `${keyType}-sha256`,
      data: base64(tags, 'b'),
      ...keyNameOf(tags),
      chainStatus: chainStatusOf(required(tags, 'cv')),
      signedAt: timeOf(tags, 't'),
    };
  });
}

/** Strings in ABNF have no letter case (RFC 8617 3.9, RFC 5234 2.3). */
function chainStatusOf(value: string): ChainStatus {
  const word = value.toLowerCase();
  if (word === 'none' || word === 'pass' || word === 'fail') return word;
  throw new Invalid('cv= is neither none, pass nor fail');
}

/** Most fields begin with the instance (4.1), with comments perhaps; in others it is one tag of the list. */
function signatureField<T extends object>(
  value: string,
  read: (tags: TagList) => T,
): ArcField<T | string> | undefined {
  const split = splitInstance(value);
  const tags = parseTagList(split ? split.rest : value);
  const instance = instanceNumber(split?.position ?? tags?.get('i') ?? '');
  if (instance === undefined) return undefined;
  return {
    instance,
    read: () =>
      readTags(() => {
        if (!tags) throw new Invalid('it is not a tag list, or a tag is there twice');
        if (split && tags.has('i')) throw new Invalid('i= is there twice');
        return read(tags);
      }),
  };
}
