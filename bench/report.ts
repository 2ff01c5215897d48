/** The results as Markdown. */

import type { ContenderResult, Judgement, Results, RowResult } from './results';
import type { Metric } from './rows';

/** How a figure is shown. */
interface Column {
  readonly title: string;
  readonly digits: number;
  /** Whether the median is followed by the range of the trials. */
  readonly range?: boolean;
}

const COLUMNS: Readonly<Record<Metric, Column>> = {
  perSecond: { title: 'messages/s', digits: 0, range: true },
  megabytesPerSecond: { title: 'MB/s', digits: 0, range: true },
  perMessage: { title: 'ms per message', digits: 3, range: true },
  p50: { title: 'p50 ms', digits: 2 },
  p99: { title: 'p99 ms', digits: 2 },
  whole50: { title: 'p50 ms, whole', digits: 2, range: true },
  whole99: { title: 'p99 ms, whole', digits: 2, range: true },
  cpuPer1000: { title: 'CPU s per 1,000', digits: 2 },
  kibPerConnection: { title: 'KiB per connection', digits: 0 },
  peakMib: { title: 'peak MiB', digits: 0 },
  startup: { title: 'start ms', digits: 0 },
};

const METRICS = Object.keys(COLUMNS) as Metric[];

/** From this size of a body on, MB/s are of interest. */
const LARGE_BODY = 2 ** 20;

const number = (value: number, digits: number) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const align = header.map((_, column) => (column === 0 ? '---' : '---:'));
  return [header, align, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The whole report. */
export function report(results: Results): string {
  return `${[
    ...(results.quick ? ['A quick run, which shows that the tool works: its figures mean nothing.'] : []),
    provenance(results),
    '### Expectations',
    judgements(results),
    ...explanations(results),
    ...results.rows.flatMap((row) => [`### ${row.title}`, rowTable(row), ...notes(row)]),
  ].join('\n\n')}\n`;
}

function provenance({ date, rounds, machine, libmilter }: Results): string {
  const { cpu, cores, memoryGib, kernel, loadBefore, versions } = machine;
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${date.slice(0, 10)}: ${cpu}, ${cores} cores, ${memoryGib} GiB, ${kernel}, load ${loadBefore} before the run.`,
    `${software.join(', ')}. Library of all filters: ${libmilter.join(' and ') || 'none'}.`,
    `Medians of ${rounds} trials; the lowest and the highest figure in parentheses.`,
  ].join('\n');
}

function judgements({ rows }: Results): string {
  const all = rows.flatMap((row) => row.judgements.map((judgement) => ({ row, judgement })));
  const lines = all.map(({ row, judgement }) => [
    subject(row, judgement),
    value(judgement),
    expected(judgement),
    judgement.verdict === 'told' ? '' : judgement.verdict,
  ]);
  return table(['comparison', 'measured', 'expected', ''], lines);
}

/** Why expectations were missed, each reason once. */
function explanations({ rows }: Results): string[] {
  const missed = rows.flatMap((row) =>
    row.judgements
      .filter(({ verdict }) => verdict === 'missed')
      .map((judgement) => ({
        what: subject(row, judgement),
        why: judgement.bound ?? 'Not explained.',
      })),
  );
  const reasons = [...new Set(missed.map(({ why }) => why))];
  const lines = reasons.map((reason) => {
    const of = missed.filter(({ why }) => why === reason).map(({ what }) => what);
    return `- ${reason}\n${of.map((what) => `  - ${what}`).join('\n')}`;
  });
  return lines.length === 0 ? [] : ['### Why expectations were missed', lines.join('\n')];
}

function subject(row: RowResult, { of, metric, against, above }: Judgement): string {
  const { title } = COLUMNS[metric];
  if (against === 'itself') return `${row.title}: ${of}, ${title}`;
  const other = against === 'ideal' ? 'the ideal' : against;
  return `${row.title}: ${of} : ${other}, ${title}${above === undefined ? '' : ` above ${above}`}`;
}

function value({ value, against, metric }: Judgement): string {
  if (value === null) return '';
  return against === 'itself' ? number(value, COLUMNS[metric].digits) : `${number(value, 2)} x`;
}

function expected({ least, most }: Judgement): string {
  if (least !== undefined) return `at least ${least}`;
  return most === undefined ? '' : `at most ${most}`;
}

function rowTable(row: RowResult): string {
  const large = 'body' in row.load && row.load.body >= LARGE_BODY;
  const metrics = METRICS.filter(
    (metric) =>
      (metric !== 'megabytesPerSecond' || large) &&
      row.contenders.some(({ summary }) => summary[metric] !== undefined),
  );
  const lines = row.contenders.map((contender) => [
    contender.name,
    ...metrics.map((metric) => cell(contender, metric)),
  ]);
  return table(['', ...metrics.map((metric) => COLUMNS[metric].title)], lines);
}

function cell({ summary }: ContenderResult, metric: Metric): string {
  const found = summary[metric];
  if (!found) return '';
  const { digits, range } = COLUMNS[metric];
  const middle = number(found.median, digits);
  return range ? `${middle} (${number(found.least, digits)} to ${number(found.most, digits)})` : middle;
}

/** What does not fit into the table. */
function notes(row: RowResult): string[] {
  const ideal = row.idealPerSecond;
  return [
    ...(ideal === undefined ? [] : [`Ideal: ${number(ideal, 0)} messages/s.`]),
    ...row.contenders
      .filter(({ failure }) => failure !== undefined)
      .map(
        ({ name, trials, failure }) =>
          `${name} was not measured${trials.length > 0 ? ' further' : ''}: ${failure}`,
      ),
  ];
}

const [BEGIN, END] = ['<!-- results -->', '<!-- end of results -->'];

/** A page of the documentation with this report between its marks. @throws if it has no marks */
export function filledIn(page: string, text: string): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the page has no ${BEGIN} before an ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n\n${text.trimEnd()}\n\n${page.slice(to)}`;
}
