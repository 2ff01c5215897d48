/** Why a client is refused, in the words of the domain (RFC 7208 6.2), or in ours. */
import { askableName } from '../dns/names.js';
import type { Evaluation, Outcome } from './evaluation.js';
import type { Identity } from './identity.js';
import type { Lookups } from './lookups.js';
import { MacroString } from './macro-string.js';
import { fittedName } from './names.js';
import type { Settings } from './settings.js';
import { SpfError } from './spf-error.js';
import { printable } from './text.js';
import type { SpfResultName } from './types.js';

/** Longest parts of a sentence. */
const MAX_NAME_LENGTH = 320;
const MAX_PROBLEM_LENGTH = 200;

/**
 * What the domain of a record says about a fail.
 *
 * @returns undefined where it says nothing, or what is not an explanation: then it is as if it said nothing (RFC 7208 6.2)
 */
export async function domainsWords(
  { result, domain, exp }: Outcome,
  evaluation: Evaluation,
  lookups: Lookups,
  { maxExplanation, maxRecordLength }: Settings,
): Promise<string | undefined> {
  if (result !== 'fail' || exp === null) return undefined;
  return orNothing(async () => {
    const name = askableName(fittedName(exp.name(await evaluation.macros(domain, exp)) ?? ''));
    if (name === undefined) return undefined;
    const [text, ...others] = await lookups.texts(name);
    if (text === undefined || others.length > 0 || text.length > maxRecordLength) return undefined;
    const words = MacroString.read(text);
    return words?.text(await evaluation.macros(domain, words), maxExplanation);
  });
}

/** What the option `defaultExplanation` says about a fail; undefined where it is not set, or cannot be expanded. */
export async function yourWords(
  { result }: Outcome,
  { domain }: Identity,
  evaluation: Evaluation,
  { defaultExplanation: words, maxExplanation }: Settings,
): Promise<string | undefined> {
  if (result !== 'fail' || words === null) return undefined;
  return orNothing(async () => words.text(await evaluation.macros(domain, words), maxExplanation));
}

async function orNothing(words: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return (await words())?.trim() || undefined;
  } catch (error) {
    if (error instanceof SpfError) return undefined;
    throw error;
  }
}

/** What came of it, in a sentence: a default explanation, and the comment of a Received-SPF header. */
export function sentenceOf(
  result: SpfResultName,
  identity: Identity,
  ip: string,
  problem: string | null,
): string {
  const domain = printable(identity.domain, MAX_NAME_LENGTH);
  const who = identity.kind === 'helo' ? domain : printable(identity.sender, MAX_NAME_LENGTH);
  const why = printable(problem ?? '', MAX_PROBLEM_LENGTH);
  switch (result) {
    case 'pass':
      return `${ip} may send mail in the name of ${who}`;
    case 'fail':
      return `${ip} may not send mail in the name of ${who}`;
    case 'softfail':
      return `${ip} should not send mail in the name of ${who}`;
    case 'neutral':
      return `${domain} does not say whether ${ip} may send mail in the name of ${who}`;
    case 'none':
      return identity.checkable
        ? `${domain} does not say who may send mail in its name`
        : 'there is no domain whose record could say who may send mail in its name';
    case 'temperror':
      return `it cannot be told now whether ${ip} may send mail in the name of ${who}: ${why}`;
    case 'permerror':
      return `it cannot be told whether ${ip} may send mail in the name of ${who}: ${why}`;
  }
}
