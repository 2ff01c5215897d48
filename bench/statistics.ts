/** Statistics of trials. */

/** The median of some figures. @throws RangeError for none */
export function median(figures: readonly number[]): number {
  if (figures.length === 0) throw new RangeError('there is no median of no figures');
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** The median of some figures, and their range. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  /** (most - least) / median; 0 if the median is 0. */
  readonly spread: number;
}

/** @throws RangeError for no figures */
export function summarize(figures: readonly number[]): Summary {
  const middle = median(figures);
  const least = Math.min(...figures);
  const most = Math.max(...figures);
  return { median: middle, least, most, spread: middle === 0 ? 0 : (most - least) / middle };
}
