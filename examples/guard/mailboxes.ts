/** Addresses of mailboxes, and options whose value is such addresses. */
import { ConfigError } from '../shared/config-error';
import type { Option } from './options';

/** Whose address it is: without a tag of BATV, `prvs=tag=ann@example.com`, which anybody can put before it. */
export const untagged = (address: string): string => address.replace(/^prvs=[0-9a-f]{6,16}=/i, '');

/** A local part without quotes, and a domain (RFC 5321 4.1.2); what MTAs take for more than one address is none. */
const MAILBOX =
  /^[^\s\p{Cc}()<>[\]:;@\\,"]+@[^\s\p{Cc}()<>[\]:;@\\,".]+(?:\.[^\s\p{Cc}()<>[\]:;@\\,".]+)*\.?$/u;

/** Addresses separated by blanks or commas. @throws ConfigError that names the first that is none */
export function readMailboxes(text: string): string[] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const wrong = entries.find((entry) => !MAILBOX.test(entry));
  if (wrong !== undefined) throw new ConfigError(`${wrong} is not an address such as ann@example.com`);
  return entries;
}

export const mailboxes = (doc: string): Option<readonly string[]> => ({
  doc,
  fallback: '',
  read: readMailboxes,
});
