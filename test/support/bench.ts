/** The benchmark as a program, for tests that it works; its figures do not matter there. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Results, RowResult } from '../../bench/results';
import { projectRoot } from '../../tools/project-root';

/** The result of a run. */
export interface BenchRun {
  readonly status: number | null;
  readonly stderr: string;
  readonly row: RowResult;
  /** results.md */
  readonly report: string;
}

/** Runs one row once, quickly. */
export function runBench(row: string): BenchRun {
  const out = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(projectRoot, '.build/bench/run.js'), '--quick', '--rounds', '1', '--only', row, '--out', out],
      // Always the release build, without preloaded sanitizers, whatever the test itself runs on.
      { env: { PATH: process.env.PATH }, encoding: 'utf8', timeout: 100_000, killSignal: 'SIGTERM' },
    );
    if (!readdirSync(out).includes('results.json')) throw new Error(`no results: ${stderr}`);
    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Results;
    return {
      status,
      stderr,
      row: results.rows[0] as RowResult,
      report: readFileSync(join(out, 'results.md'), 'utf8'),
    };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
