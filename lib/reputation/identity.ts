/** What has a reputation: a domain together with how it was authenticated. */

import { badArgument } from '../internal/errors.js';
import { digestOf } from '../internal/stores/digest.js';
import { checkText } from '../internal/validate.js';
import { domainSpellings } from '../utils/spellings.js';

/** The maximum length of a domain (RFC 1035 2.3.4). */
const MAX_NAME_LENGTH = 255;
const LEVEL = /^[a-z0-9][a-z0-9-]{0,31}$/;
/** Printable ASCII without the blank. */
const PLAIN = /^[!-~]*$/;
const IDENTITY = /^[!-~]{0,255}:[a-z0-9][a-z0-9-]{0,31}$/;

/**
 * The text under which a store has an identity: `example.com:pass`. Letter case, a final dot and the spelling of an international
 * domain do not matter. A name that is too long for a domain, or has other than printable characters, is replaced by its digest, so
 * that untrusted names cannot fill the store.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function identityOf(name: string, level: string): string {
  checkText('Reputation: name', name);
  if (typeof level !== 'string' || !LEVEL.test(level)) {
    throw badArgument(
      `Reputation: level must be a word such as pass, of at most 32 lower-case letters, digits and hyphens, not ${JSON.stringify(level)}`,
    );
  }
  return `${keyOf(name)}:${level}`;
}

/** Whether a text can be the result of {@link identityOf}. */
export function isIdentity(text: unknown): text is string {
  return typeof text === 'string' && IDENTITY.test(text);
}

function keyOf(name: string): string {
  const spellings = name.length <= MAX_NAME_LENGTH ? domainSpellings(name) : [];
  const plain = spellings.find((spelling) => spelling.length <= MAX_NAME_LENGTH && PLAIN.test(spelling));
  return plain ?? `sha256:${digestOf(name)}`;
}
