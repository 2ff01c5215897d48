/** The chain of ARC Sets that a message's header has (RFC 8617 4.3), and its structure (5.2 steps 1 to 3). */
import type { HeaderField } from '../dkim/canonical-header.js';
import type { Signature } from '../dkim/signature.js';
import type { HeaderBlock } from '../dkim/signed-headers.js';
import {
  type ArcField,
  MESSAGE_SIGNATURE_FIELD,
  messageSignatureField,
  RESULTS_FIELD,
  resultsField,
  SEAL_FIELD,
  type Seal,
  sealField,
} from './fields.js';
import { MAX_INSTANCE } from './instance.js';

/** The three fields of a set. Of these, only the seal is known to be valid. */
export interface FieldSet {
  readonly instance: number;
  readonly results: HeaderField;
  /** The text of the ARC-Authentication-Results field, without its instance. */
  readonly resultsText: string;
  readonly messageSignature: HeaderField;
  /** What the ARC-Message-Signature says, or why it is invalid. */
  readonly signature: Signature | string;
  readonly sealField: HeaderField;
  readonly seal: Seal;
}

/** The sets of a well-formed chain, the oldest first; none for a message without ARC fields. Or why it is not well-formed. */
export type Chain = readonly FieldSet[] | { readonly fault: string };

/** The fields of one name, by their instances. */
type Fields<T> = ReadonlyMap<number, { readonly field: HeaderField; readonly content: ArcField<T> }>;

/** Thrown inside this file only: why a chain is not well-formed. */
class Malformed extends Error {}

export function readChain(headers: HeaderBlock): Chain {
  try {
    return readSets(headers);
  } catch (error) {
    if (error instanceof Malformed) return { fault: error.message };
    throw error;
  }
}

function readSets(headers: HeaderBlock): FieldSet[] {
  const results = fieldsOf(headers, RESULTS_FIELD, resultsField);
  const signatures = fieldsOf(headers, MESSAGE_SIGNATURE_FIELD, messageSignatureField);
  const seals = fieldsOf(headers, SEAL_FIELD, sealField);
  const count = Math.max(results.size, signatures.size, seals.size);
  // Each field has an instance of its own, so a gap leaves one of the first instances out.
  return Array.from({ length: count }, (_, index) => {
    const instance = index + 1;
    const result = results.get(instance);
    const signature = signatures.get(instance);
    const seal = seals.get(instance);
    if (!result || !signature || !seal) throw new Malformed(`set ${instance} is not complete`);
    return {
      instance,
      results: result.field,
      resultsText: result.content.read(),
      messageSignature: signature.field,
      signature: signature.content.read(),
      sealField: seal.field,
      seal: checkedSeal(seal.content.read(), instance),
    };
  });
}

function fieldsOf<T>(
  headers: HeaderBlock,
  name: string,
  parse: (value: string) => ArcField<T> | undefined,
): Fields<T> {
  const found = new Map<number, { field: HeaderField; content: ArcField<T> }>();
  const fields = headers.all(name.toLowerCase());
  if (fields.length > MAX_INSTANCE) throw new Malformed(`there are more than ${MAX_INSTANCE} sets`);
  for (const field of fields) {
    const content = parse(field.value);
    if (!content) throw new Malformed(`the instance of an ${name} is missing or invalid`);
    if (found.has(content.instance))
      throw new Malformed(`set ${content.instance} has several ${name} fields`);
    found.set(content.instance, { field, content });
  }
  return found;
}

/** RFC 8617 5.2, step 3 C: the first seal says `none`, each later one `pass`. */
function checkedSeal(seal: Seal | string, instance: number): Seal {
  if (typeof seal === 'string') throw new Malformed(`the ARC-Seal of set ${instance}: ${seal}`);
  if (seal.chainStatus !== (instance === 1 ? 'none' : 'pass')) {
    throw new Malformed(`the ARC-Seal of set ${instance} says cv=${seal.chainStatus}`);
  }
  return seal;
}

/**
 * Where a chain stands that a sealer is to add to. It need not be well-formed.
 *
 * @returns the highest instance of any ARC field, 0 if there is none, and whether the newest seal says that the chain had
 *   failed before
 */
export function endOfChain(headers: HeaderBlock): { instance: number; failed: boolean } {
  let instance = 0;
  for (const [name, parse] of [
    [RESULTS_FIELD, resultsField],
    [MESSAGE_SIGNATURE_FIELD, messageSignatureField],
  ] as const) {
    for (const { value } of headers.all(name.toLowerCase())) {
      instance = Math.max(instance, parse(value)?.instance ?? 0);
    }
  }
  let newest = 0;
  let failed = false;
  for (const { value } of headers.all(SEAL_FIELD.toLowerCase())) {
    const content = sealField(value);
    if (!content || content.instance < newest) continue;
    newest = content.instance;
    const seal = content.read();
    failed = typeof seal !== 'string' && seal.chainStatus === 'fail';
  }
  return { instance: Math.max(instance, newest), failed };
}
