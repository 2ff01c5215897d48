/** Removing fields that claim to be ours (RFC 8601 5): a client could have written them. */
import { asciiDomain } from '../internal/a-labels.js';
import { parseAuthRes } from './parse.js';
import type { AuthRes } from './types.js';

/** What is needed of a filter: a `Base` of tsmilter has it. */
export interface HeaderChanger {
  chgheader(name: string, index: number, value: string | null): unknown;
}

const FIELD = 'Authentication-Results';

/**
 * Whether a field claims to be that of `id`. Names are compared without letter case, U-labels as A-labels. A field that
 * cannot be parsed counts as ours if it contains the id anywhere, also with comments, quotes or control characters in it,
 * because another program may be able to read it.
 *
 * @param value of an Authentication-Results field
 */
export function claimsToBe(value: string, id: string): boolean {
  return isOurs(value, parseAuthRes(value), id);
}

/** @param read the value as parseAuthRes has it */
function isOurs(value: string, read: AuthRes | undefined, id: string): boolean {
  const own = shownAs(id);
  if (read) return shownAs(read.id) === own;
  return [value, bare(value)].some((text) => {
    const lower = text.toLowerCase();
    return lower.includes(id.toLowerCase()) || lower.includes(own);
  });
}

/** An id as its reader sees it: without spaces of any kind and what cannot be seen. */
const shownAs = (id: string): string => asciiDomain(id.replace(/[\p{Z}\p{Cf}]/gu, ''));

/** The printable characters outside comments, without quotes and backslashes: what a careless reader may take for the id. */
function bare(value: string): string {
  let text = '';
  let depth = 0;
  for (let at = 0; at < value.length; at++) {
    const escaped = value[at] === '\\' && at + 1 < value.length;
    const character = value[escaped ? ++at : at] as string;
    if (!escaped && character === '(') depth++;
    else if (!escaped && character === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0 && character > ' ' && character !== '\x7f' && character !== '"') text += character;
  }
  return text;
}

/** Whether a field has a version whose meaning is not known (RFC 8601 5). */
const isOfLaterVersion = (read: AuthRes | undefined): boolean => (read?.version ?? 1) !== 1;

/**
 * Deletes the Authentication-Results fields that claim to be ours, and those of a version that is not known, in eom. They go from the
 * last index down, because Postfix counts anew after each deletion and Sendmail does not: so both delete the same ones.
 *
 * @param filter the filter, or anything with its chgheader; the right to change headers (CHGHDRS) must be negotiated
 * @param ids our own authserv-ids
 * @param values of all Authentication-Results fields of the message, in the order in which `header` got them
 * @returns how many were deleted
 */
export function removeAuthRes(
  filter: HeaderChanger,
  ids: string | readonly string[],
  values: readonly string[],
): number {
  const own = typeof ids === 'string' ? [ids] : ids;
  let removed = 0;
  for (let index = values.length; index >= 1; index--) {
    const value = values[index - 1] as string;
    const read = parseAuthRes(value);
    if (!isOfLaterVersion(read) && !own.some((id) => isOurs(value, read, id))) continue;
    filter.chgheader(FIELD, index, null);
    removed++;
  }
  return removed;
}
