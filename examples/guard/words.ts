/** Lists of words that a text must not have. */
import { entriesOf } from 'tsmilter/config';
import { ConfigError } from '../shared/config-error';
import type { Option } from './options';
import { shown } from './shown';

/** Longer ones are not looked at: a header field may have 64 KB. */
const MAX_TEXT = 4_096;

/** A word or a phrase. */
export interface Word {
  readonly written: string;
  /** As texts are searched for it; never empty. */
  readonly plain: string;
}

/** Letters and digits of all scripts; the marks that hide words between them, such as zero-width spaces, do not count. */
const plain = (text: string): string =>
  text
    .slice(0, MAX_TEXT)
    .normalize('NFKC')
    .replaceAll(/\p{Cf}/gu, '')
    .toLowerCase();

const BOUNDARY = /[\p{L}\p{N}]/u;

const isApart = (text: string, start: number, end: number): boolean =>
  !BOUNDARY.test(text.charAt(start - 1)) && !BOUNDARY.test(text.charAt(end));

/** Words and phrases, separated by commas or line breaks. */
export const words = (doc: string): Option<readonly Word[]> => ({
  doc,
  fallback: '',
  read: (value) => entriesOf(value).map(wordOf),
});

function wordOf(written: string): Word {
  const wanted = plain(written).trim();
  if (wanted === '') throw new ConfigError(`${shown(written)} has no character that can be seen`);
  return { written, plain: wanted };
}

/** The first of `words` that stands in the text by itself, in any letter case; null if none does. */
export function wordIn(text: string, words: readonly Word[]): string | null {
  const searched = plain(text);
  for (const { written, plain: wanted } of words) {
    for (let at = searched.indexOf(wanted); at >= 0; at = searched.indexOf(wanted, at + 1))
      if (isApart(searched, at, at + wanted.length)) return written;
  }
  return null;
}
