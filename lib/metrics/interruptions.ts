/** The answers that the MTA got in place of handlers', which are counted where they are given: on libmilter's threads. */
import { Interruption } from '../addon/kinds.js';
import { native } from '../addon/native.js';
import type { SeriesSet } from './series.js';

/** The label's values, such as `write_failed`, by number. */
const REASONS = Object.keys(Interruption).map((name) =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
);

/** Adds what the process has counted. */
export function addInterruptions(all: SeriesSet, counts = native().interruptions()): void {
  for (const [at, reason] of REASONS.entries()) {
    const count = counts[at] ?? 0;
    if (count > 0) all.add('tsmilter_interrupted_total', { reason }, count);
  }
}
