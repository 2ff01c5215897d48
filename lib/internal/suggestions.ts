/** Suggests a known name in place of one that is misspelt. */

/** Ignores what differs between the naming conventions of languages: letter case and underscores. */
const normalise = (word: string): string => word.toLowerCase().replaceAll('_', '');

/** The Levenshtein distance: how many letters must be inserted, removed or replaced to turn one word into the other. */
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

/** Longer words are not misspelt names, and take long to compare. */
const MAX_LENGTH = 40;

/** The known word that is most similar, among those that differ in at most a third of their letters. */
export function suggestName(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  const apart = known.map((candidate) => {
    const letters = distance(normalise(word), normalise(candidate));
    return { candidate, letters, most: Math.floor(Math.max(word.length, candidate.length) / 3) };
  });
  const likely = apart.filter(({ letters, most }) => letters <= most);
  return likely.sort((one, other) => one.letters - other.letters)[0]?.candidate;
}
