/** Lists of words that a text must not have. */

/** Longer ones are not looked at: a header field may have 64 KB. */
const MAX_TEXT = 4_096;

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

/** The first of `words` that stands in the text by itself, in any letter case; null if none does. */
export function wordIn(text: string, words: readonly string[]): string | null {
  const searched = plain(text);
  for (const word of words) {
    const wanted = plain(word);
    for (let at = searched.indexOf(wanted); at >= 0; at = searched.indexOf(wanted, at + 1))
      if (isApart(searched, at, at + wanted.length)) return word;
  }
  return null;
}
