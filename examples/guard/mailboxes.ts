/** Options whose value is addresses to which mail is sent. */
import { ConfigError } from '../shared/config-error';
import type { Option } from './options';

/** Addresses separated by blanks or commas. @throws ConfigError that names the first that is none */
export function readMailboxes(text: string): string[] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const wrong = entries.find((entry) => !/^[^\s<>@]+@[^\s<>@]+$/.test(entry));
  if (wrong !== undefined) throw new ConfigError(`${wrong} is not an address such as ann@example.com`);
  return entries;
}

export const mailboxes = (doc: string): Option<readonly string[]> => ({
  doc,
  fallback: '',
  read: readMailboxes,
});
