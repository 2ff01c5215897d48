/**
 * Measures this package against C and pymilter, side by side.
 *
 *     npm run bench                      # everything, 5 rounds: an hour on an idle machine
 *     npm run bench -- --quick           # 2 rounds of short loads, to see whether the tool works
 *     npm run bench -- --rounds 9        # more rounds
 *     npm run bench -- --only eight      # one row; may be given several times
 *     npm run bench -- --list            # the rows
 *     npm run bench -- --out FOLDER      # where results.md and results.json go
 *     npm run bench -- --docs            # updates docs/performance.md as well
 *
 * The results of a whole run go to bench/, those of any other to .build/bench/. Exit code 1 means that something
 * could not be measured.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../tools/project-root';
import { buildPeers } from './build';
import type { Contender } from './contenders';
import { machine } from './machine';
import { measureThrough } from './mta-trial';
import { filledIn, report } from './report';
import { type Measured, type Results, type RowResult, resultOf } from './results';
import { type Row, rows } from './rows';
import { median } from './statistics';
import { type Figures, measure, type Trial } from './trial';
import { UsageError, wholeNumber } from './whole-number';

const ROUNDS = 5;
const QUICK_ROUNDS = 2;

interface Options {
  readonly rounds: number;
  readonly quick: boolean;
  readonly rows: readonly Row[];
  readonly out: string;
  readonly docs: boolean;
}

function readOptions(): Options | 'help' | 'list' {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      out: { type: 'string' },
      docs: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.list) return 'list';
  const byDefault = values.quick ? QUICK_ROUNDS : ROUNDS;
  const rounds = values.rounds === undefined ? byDefault : wholeNumber('rounds', values.rounds);
  const unknown = values.only?.filter((name) => !rows.some((row) => row.name === name)) ?? [];
  if (unknown.length > 0) throw new UsageError(`there is no row ${unknown.join(', ')}: see --list`);
  const whole = !values.quick && values.only === undefined;
  if (values.docs && !whole) throw new UsageError('--docs is for a whole run');
  return {
    rounds,
    quick: values.quick,
    rows: values.only ? rows.filter((row) => values.only?.includes(row.name)) : rows,
    out: values.out ?? join(projectRoot, whole ? 'bench' : '.build/bench'),
    docs: values.docs,
  };
}

/** The trials of a contender so far. */
interface Entry {
  readonly contender: Contender;
  readonly trials: Figures[];
  failure?: string;
}

async function runRow(row: Row, options: Options, libmilters: Set<string>): Promise<RowResult> {
  console.error(`\n${row.name}: ${row.title}`);
  const entries = row.contenders.map((contender): Entry => ({ contender, trials: [] }));
  // In turns, so that a change in the machine's load affects all of them.
  for (let round = 1; round <= options.rounds; round++) {
    for (const entry of entries.filter(({ failure }) => failure === undefined)) {
      await runTrial(row, entry, options, libmilters);
    }
    console.error(`  round ${round} of ${options.rounds}: ${entries.map(lastOf).join(', ')}`);
  }
  const messages = options.quick ? row.load.quick : row.load.messages;
  return resultOf(row, entries as Measured[], messages);
}

async function runTrial(row: Row, entry: Entry, { quick }: Options, libmilters: Set<string>): Promise<void> {
  try {
    const { figures, libmilter }: Trial =
      row.kind === 'direct'
        ? await measure(row, entry.contender, quick)
        : await measureThrough(row, entry.contender, quick);
    if (libmilter !== undefined) libmilters.add(libmilter);
    entry.trials.push(figures);
  } catch (error) {
    entry.failure = lastLine((error as Error).message);
    console.error(`  ${entry.contender.name}: ${(error as Error).message}`);
  }
}

const lastOf = ({ contender, trials, failure }: Entry) =>
  `${contender.name} ${failure === undefined ? Math.round(trials.at(-1)?.perSecond ?? 0) : '-'}`;

/** The last line of a traceback or log, which has the error. */
const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';

function write(results: Results, { out, docs }: Options): void {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(out, 'results.md'), `# Results\n\n${report(results)}`);
  const page = join(projectRoot, 'docs/performance.md');
  if (docs) writeFileSync(page, filledIn(readFileSync(page, 'utf8'), report(results)));
}

async function runAll(options: Options): Promise<void> {
  // On exit, the supervisors of filters and MTAs lose their channel and end them.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => process.exit(130));
  buildPeers(projectRoot);
  const where = machine();
  const libmilters = new Set<string>();
  const found: RowResult[] = [];
  const results = (): Results => ({
    date: new Date().toISOString(),
    rounds: options.rounds,
    quick: options.quick,
    machine: where,
    libmilter: [...libmilters],
    rows: found,
  });
  for (const row of options.rows) {
    found.push(await runRow(row, options, libmilters));
    write(results(), { ...options, docs: false });
  }
  write(results(), options);
  console.log(report(results()));
  conclude(results());
}

function conclude({ rows, libmilter }: Results): void {
  const judged = rows.flatMap((row) => row.judgements);
  const count = (verdict: string) => judged.filter((judgement) => judgement.verdict === verdict).length;
  const failures = rows.flatMap((row) => row.contenders.filter(({ failure }) => failure !== undefined));
  const spreads = rows.flatMap((row) => row.contenders.map(({ summary }) => summary.perSecond?.spread ?? 0));
  console.error(
    `${count('met')} expectations met, ${count('missed')} missed, ${count('not measured')} not measured; ` +
      `median range of a contender's trials: ${Math.round(median(spreads) * 100)} %`,
  );
  if (libmilter.length > 1) console.error(`the filters used different libraries: ${libmilter.join(', ')}`);
  if (failures.length > 0 || libmilter.length > 1) process.exitCode = 1;
}

function help(): string {
  const source = readFileSync(join(projectRoot, 'bench/run.ts'), 'utf8');
  return source.slice(source.indexOf('/**') + 4, source.indexOf(' */')).replace(/^ \* ?/gm, '');
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === 'help') console.log(help());
  else if (options === 'list') for (const { name, title } of rows) console.log(`${name.padEnd(18)}${title}`);
  else await runAll(options);
}

main().catch((error: NodeJS.ErrnoException) => {
  const usage = error instanceof UsageError || error.code?.startsWith('ERR_PARSE_ARGS');
  console.error(usage ? `${error.message}\nsee npm run bench -- --help` : error);
  process.exit(usage ? 2 : 1);
});
