/** The explanation of a result: that of the domain (RFC 7208 6.2), or one of our own. */
import type { Evaluation, Outcome } from './evaluation.js';
import type { Identity } from './identity.js';
import type { Lookups } from './lookups.js';
import { MacroString } from './macro-string.js';
import { askableName } from './names.js';
import type { Settings } from './settings.js';
import { SpfError } from './spf-error.js';
import { printable } from './text.js';
import type { SpfResultName } from './types.js';

/** Parts of a sentence are cut to these lengths. */
const MAX_NAME_LENGTH = 320;
const MAX_PROBLEM_LENGTH = 200;

/**
 * The explanation that the domain of a record gives for a fail.
 *
 * @returns undefined if there is none, or none that is valid (RFC 7208 6.2)
 */
export async function domainExplanation(
  { result, domain, exp }: Outcome,
  evaluation: Evaluation,
  lookups: Lookups,
  { maxExplanation, maxRecordLength }: Settings,
): Promise<string | undefined> {
  if (result !== 'fail' || exp === null) return undefined;
  return undefinedOnError(async () => {
    const name = askableName(exp.name(await evaluation.macros(domain, exp, 'name')) ?? '');
    if (name === undefined) return undefined;
    const [text, ...others] = await lookups.texts(name);
    if (text === undefined || others.length > 0 || text.length > maxRecordLength) return undefined;
    const explanation = MacroString.read(text);
    return explanation?.text(await evaluation.macros(domain, explanation, 'explanation'), maxExplanation);
  });
}

/** The explanation for a fail from the option `defaultExplanation`; undefined if it is not set or cannot be expanded. */
export async function localExplanation(
  { result }: Outcome,
  { domain }: Identity,
  evaluation: Evaluation,
  { defaultExplanation, maxExplanation }: Settings,
): Promise<string | undefined> {
  if (result !== 'fail' || defaultExplanation === null) return undefined;
  return undefinedOnError(async () =>
    defaultExplanation.text(
      await evaluation.macros(domain, defaultExplanation, 'explanation'),
      maxExplanation,
    ),
  );
}

async function undefinedOnError(expand: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return (await expand())?.trim() || undefined;
  } catch (error) {
    if (error instanceof SpfError) return undefined;
    throw error;
  }
}

/** The result in a sentence, for the default explanation and the comment of a Received-SPF header. */
export function summaryOf(
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
      return `cannot currently determine whether ${ip} may send mail in the name of ${who}: ${why}`;
    case 'permerror':
      return `cannot determine whether ${ip} may send mail in the name of ${who}: ${why}`;
  }
}
