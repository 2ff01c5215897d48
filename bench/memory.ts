/**
 * Measures the memory of a filter's process that holds a thousand messages of 1 MB at the same time.
 *
 *     npm run bench:memory                          # 3 rounds
 *     npm run bench:memory -- --rounds 5            # more rounds
 *     npm run bench:memory -- --sessions 100        # fewer messages
 *     npm run bench:memory -- --only memory         # one variant of bench/memory/filter.ts; may be given several times
 *
 * Each session of tools/load.c sends one message, all at once and as fast as the filter takes them. The filter answers none
 * before the last one has come. Each round starts a fresh process for each variant, in turns. Printed are the medians of the
 * rounds, with their range for the peak: resident memory before the load, at its peak, when the last message has come, and
 * after the load, once libmilter has ended its idle threads. Linux only.
 */
import { parseArgs } from 'node:util';
import { BODY, measure, type Trial } from './memory/trial';
import { summarize } from './statistics';
import { UsageError, wholeNumber } from './whole-number';

const SESSIONS = '1000';
const ROUNDS = '3';

/** The variants of bench/memory/filter.ts. */
const VARIANTS: Readonly<Record<string, string>> = {
  eom: 'no handler for bodies',
  plain: 'bodies are counted',
  memory: 'tsmilter/message, its defaults',
  files: 'tsmilter/message, maxMemory: 0',
};

const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);

function report(variant: string, trials: readonly Trial[]): string {
  const of = (name: keyof Trial) => summarize(trials.map((trial) => mebibytes(trial[name])));
  const { median, least, most } = of('peak');
  const cells = [of('before').median, median, `${least} to ${most}`, of('held').median, of('after').median];
  return `| ${VARIANTS[variant]} | ${cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(0) : cell)).join(' | ')} |`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: ROUNDS },
      sessions: { type: 'string', default: SESSIONS },
      only: { type: 'string', multiple: true },
    },
  });
  const rounds = wholeNumber('rounds', values.rounds);
  const sessions = wholeNumber('sessions', values.sessions);
  const unknown = values.only?.filter((name) => !Object.hasOwn(VARIANTS, name)) ?? [];
  if (unknown.length > 0) throw new UsageError(`--only takes ${Object.keys(VARIANTS).join(', ')}`);
  const trials = new Map((values.only ?? Object.keys(VARIANTS)).map((variant) => [variant, [] as Trial[]]));
  for (let round = 1; round <= rounds; round++) {
    for (const [variant, done] of trials) {
      done.push(await measure(variant, sessions));
      console.error(`round ${round}, ${variant}: peak ${mebibytes((done.at(-1) as Trial).peak)} MiB`);
    }
  }
  console.log(`MiB of resident memory, ${sessions} messages of ${BODY} bytes, medians of ${rounds} rounds\n`);
  console.log('| filter | before | peak | its range | all held | after |\n|---|---|---|---|---|---|');
  for (const [variant, done] of trials) console.log(report(variant, done));
}

main().catch((error: Error) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
});
