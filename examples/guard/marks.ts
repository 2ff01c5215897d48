/** What mode `tag` does to a message, and what must not come from outside. */
import type { HeaderField, Headers, Transaction } from 'tsmilter/message';
import { encodeHeader } from 'tsmilter/utils';
import type { Judged } from './verdict';

/** The field that says what was found. */
export const FIELD = 'X-Guard';

/** Characters of a Subject that is marked; the rest of a longer one, which might not fit into a field with the mark, is cut. */
const MAX_SUBJECT = 10_000;

/** Removes the field that a client may have added itself. */
export function removeForged(headers: Headers): void {
  headers.delete(FIELD);
}

/** The change that the rule has in mind, or a field; and words before the Subject. */
export async function mark(message: Transaction, { rule, finding }: Judged): Promise<void> {
  if (finding.edit) await finding.edit(message);
  else message.headers.prepend(FIELD, `${rule.name}; ${finding.reason}`);
  if (rule.subject !== null) markSubject(message.headers, rule.subject);
}

function markSubject(headers: Headers, words: string): void {
  const [field, ...others] = headers.fields('Subject');
  if (field === undefined) {
    headers.add('Subject', words);
    return;
  }
  for (const other of others) headers.delete(other);
  if (!field.value.startsWith(words))
    headers.replace(field, `${encodeHeader(words)} ${textOf(field)}`.trimEnd(), { encode: false });
}

/** The text as it was sent, its encoded words too: what they hide, such as a line break, can stand in no field. */
function textOf({ wire }: HeaderField): string {
  const lines = wire.slice(0, MAX_SUBJECT).split('\n');
  return lines
    .map((line) => line.replaceAll(/[\0\r]/g, ' ').trim())
    .filter((line) => line !== '')
    .join('\n ');
}
