/** The results of a run: the medians, and how they compare with the expectations. This is the format of results.json. */
import type { Contender } from './contenders';
import type { Machine } from './machine';
import { type Against, idealRate, type Metric, type Row, type Target } from './rows';
import { type Summary, summarize } from './statistics';
import type { Figures } from './trial';

/** Whether an expectation was met; `told` for a ratio that is only reported. */
export type Verdict = 'met' | 'missed' | 'told' | 'not measured';

export interface Judgement {
  readonly of: string;
  readonly metric: Metric;
  /** A contender's name, `ideal`, or `itself`. */
  readonly against: string;
  readonly above?: string;
  readonly least?: number;
  readonly most?: number;
  /** The ratio of the medians, or the median if it is compared with `itself`. */
  readonly value: number | null;
  readonly verdict: Verdict;
  /** Why the expectation was missed. */
  readonly bound?: string;
}

export interface ContenderResult {
  readonly name: string;
  /** In the order of the rounds. */
  readonly trials: readonly Figures[];
  readonly summary: Partial<Record<Metric, Summary>>;
  /** Why it could not be measured, or not to the end. */
  readonly failure?: string;
}

export interface RowResult {
  readonly name: string;
  readonly title: string;
  readonly load: Row['load'];
  readonly idealPerSecond?: number;
  readonly contenders: readonly ContenderResult[];
  readonly judgements: readonly Judgement[];
}

export interface Results {
  readonly date: string;
  readonly rounds: number;
  /** Short loads, which only show that the tool works. */
  readonly quick: boolean;
  readonly machine: Machine;
  /** File names of the libmilter that the filters used; with more than one, they cannot be compared. */
  readonly libmilter: readonly string[];
  readonly rows: readonly RowResult[];
}

/** The outcome of a contender in a row. */
export interface Measured {
  readonly contender: Contender;
  readonly trials: readonly Figures[];
  readonly failure?: string;
}

/** @param messages per connection, which the ideal rate depends on */
export function resultOf(row: Row, measured: readonly Measured[], messages: number): RowResult {
  const contenders = measured.map(({ contender, trials, failure }) => ({
    name: contender.name,
    trials,
    summary: summarizeAll(trials),
    ...(failure === undefined ? {} : { failure }),
  }));
  const ideal = idealRate(row, messages);
  return {
    name: row.name,
    title: row.title,
    load: row.load,
    ...(ideal === undefined ? {} : { idealPerSecond: ideal }),
    contenders,
    judgements: row.targets.map((target) => judge(target, contenders, ideal)),
  };
}

function summarizeAll(trials: readonly Figures[]): Partial<Record<Metric, Summary>> {
  const metrics = new Set(trials.flatMap((trial) => Object.keys(trial) as Metric[]));
  const summary: Partial<Record<Metric, Summary>> = {};
  for (const metric of metrics) {
    const figures = trials.map((trial) => trial[metric]).filter((figure) => figure !== undefined);
    summary[metric] = summarize(figures);
  }
  return summary;
}

/** Judges a target by the medians of a row. */
export function judge(
  target: Target,
  contenders: readonly ContenderResult[],
  ideal: number | undefined,
): Judgement {
  const { of, metric, against, above, least, most, bound } = target;
  const medianOf = ({ name }: Contender) =>
    contenders.find((contender) => contender.name === name)?.summary[metric]?.median;
  const value = ratio(target, medianOf, ideal);
  const verdict = verdictOn(value, least, most);
  return {
    of: of.name,
    metric,
    against: nameOf(against),
    ...(above ? { above: above.name } : {}),
    ...(least === undefined ? {} : { least }),
    ...(most === undefined ? {} : { most }),
    value: value ?? null,
    verdict,
    ...(verdict === 'missed' && bound !== undefined ? { bound } : {}),
  };
}

const nameOf = (against: Against) => (typeof against === 'string' ? against : against.name);

function ratio(
  { of, against, above }: Target,
  medianOf: (contender: Contender) => number | undefined,
  ideal: number | undefined,
): number | undefined {
  const own = medianOf(of);
  if (against === 'itself') return own;
  const other = against === 'ideal' ? ideal : medianOf(against);
  const floor = above ? medianOf(above) : 0;
  if (own === undefined || other === undefined || floor === undefined) return undefined;
  const value = (own - floor) / (other - floor);
  // If the other is not above the floor, the trials were too short.
  return other > floor ? value : undefined;
}

function verdictOn(value: number | undefined, least?: number, most?: number): Verdict {
  if (value === undefined) return 'not measured';
  if (least === undefined && most === undefined) return 'told';
  return value >= (least ?? value) && value <= (most ?? value) ? 'met' : 'missed';
}
