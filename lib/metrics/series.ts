/** The values of metrics in one thread, as they can be sent to another and added up there. */
import { FAMILIES, FAMILY_NAMES, type Family, type FamilyName } from './families.js';

/** Values by label name. */
export type Labels = Readonly<Record<string, string>>;

/** One value: a number, or a histogram with a count for each bound and one for what is above. */
export interface SeriesValue {
  readonly labels: Labels;
  value: number;
  counts?: number[];
}

/** All values by metric. */
export type Snapshot = Partial<Record<FamilyName, SeriesValue[]>>;

/** Adds one observation to a histogram, whose `value` is the sum. */
export function observe(series: SeriesValue, bounds: readonly number[], value: number): void {
  const counts = series.counts as number[];
  let bucket = 0;
  while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
  (counts[bucket] as number)++;
  series.value += value;
}

/** The values of one thread. A series is looked up once, and then incremented without any lookup. */
export class SeriesSet {
  readonly #families = new Map<FamilyName, Map<string, SeriesValue>>();

  /** The series with these labels, which begins at 0. */
  series(name: FamilyName, labels: Labels = {}): SeriesValue {
    const family = this.#families.get(name) ?? new Map<string, SeriesValue>();
    this.#families.set(name, family);
    const key = Object.values(labels).join('\0');
    let found = family.get(key);
    if (!found) {
      const { bounds }: Family = FAMILIES[name];
      found = {
        labels,
        value: 0,
        ...(bounds ? { counts: new Array<number>(bounds.length + 1).fill(0) } : {}),
      };
      family.set(key, found);
    }
    return found;
  }

  add(name: FamilyName, labels: Labels, amount = 1): void {
    this.series(name, labels).value += amount;
  }

  /** Adds all values of another thread. */
  merge(snapshot: Snapshot): void {
    for (const name of FAMILY_NAMES) {
      for (const { labels, value, counts } of snapshot[name] ?? []) {
        const series = this.series(name, labels);
        series.value += value;
        counts?.forEach((count, bucket) => {
          (series.counts as number[])[bucket] = ((series.counts as number[])[bucket] ?? 0) + count;
        });
      }
    }
  }

  snapshot(): Snapshot {
    return Object.fromEntries(Array.from(this.#families, ([name, family]) => [name, [...family.values()]]));
  }
}

/** What stays of a thread that has ended: gauges end with it. */
export function withoutGauges(snapshot: Snapshot): Snapshot {
  return Object.fromEntries(
    Object.entries(snapshot).filter(([name]) => FAMILIES[name as FamilyName].type !== 'gauge'),
  );
}
