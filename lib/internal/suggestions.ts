/** What somebody may have meant by a word that is not known. */

/** Letter case and underscores are what other languages write differently. */
const plain = (word: string): string => word.toLowerCase().replaceAll('_', '');

/** How many letters must be put in, taken out or replaced to make one word the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const replaced = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[other.length] as number;
}

/** Longer words are nobody's slip, and take long to compare. */
const LONGEST = 40;

/** The known word that differs in no more than a third of its letters, the nearest of several. */
export function suggestName(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST) return undefined;
  const apart = known.map((candidate) => {
    const letters = distance(plain(word), plain(candidate));
    return { candidate, letters, most: Math.floor(Math.max(word.length, candidate.length) / 3) };
  });
  const likely = apart.filter(({ letters, most }) => letters <= most);
  return likely.sort((one, other) => one.letters - other.letters)[0]?.candidate;
}
