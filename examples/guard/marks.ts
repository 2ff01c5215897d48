/** What mode `tag` does to a message, and what must not come from outside. */
import type { Headers, Transaction } from 'tsmilter/message';
import type { Judged } from './verdict';

/** The field that says what was found. */
export const FIELD = 'X-Guard';

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
  const subject = headers.get('Subject') ?? '';
  if (!subject.startsWith(words)) headers.set('Subject', subject === '' ? words : `${words} ${subject}`);
}
