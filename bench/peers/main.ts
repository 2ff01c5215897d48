/**
 * Runs the benchmark's filter of this package.
 *
 *     main.js SOCKET VARIANT WAIT BURN
 *
 * VARIANT is `plain`, `noreply` (handlers for which the MTA does not wait, but for body and eom), `immediate`, `eom` (no other handler),
 * `logged` (plain, with the default log), `workers-N` or `workers-N-noreply`. WAIT and BURN are milliseconds: see filter.ts.
 */
import { join } from 'node:path';
import * as Milter from 'tsmilter';
import { calibrate } from './work';

async function main([socket = '', variant = '', wait = '0', burn = '0']: string[]): Promise<void> {
  // Once, before there are workers, which would disturb each other.
  const turns = Number(burn) > 0 ? calibrate(Number(burn)) : 0;
  const [, workers, noreply] = /^(?:workers-(\d+)(?:-|$))?(noreply)?$/.exec(variant) ?? [];
  Object.assign(process.env, { BENCH_WAIT: wait, BENCH_TURNS: String(turns), BENCH_NOREPLY: noreply ?? '' });
  Milter.setFlags(Milter.ADDHDRS);
  const module = join(__dirname, 'filter.js');
  if (workers !== undefined) {
    const options: Milter.RunOptions & WorkerOptions = { module, workers: Number(workers), logger: false };
    return Milter.runmilter('bench', socket, options);
  }
  const { factory, OnlyEom } = (await import(module)) as typeof import('./filter');
  const options: Record<string, Milter.RunOptions> = {
    plain: { factory, logger: false },
    noreply: { factory, logger: false },
    immediate: { factory, immediate: true, logger: false },
    eom: { factory: OnlyEom, logger: false },
    logged: { factory },
  };
  const chosen = options[variant];
  if (!chosen) throw new Error(`unknown variant '${variant}'`);
  return Milter.runmilter('bench', socket, chosen);
}

/** The options of runmilter that say where handlers run. */
interface WorkerOptions {
  readonly module: string;
  readonly workers: number;
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
