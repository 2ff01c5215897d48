/** The filter's settings, in environment variables because workers have those too. */
export interface Settings {
  /** Milliseconds that eom awaits. */
  readonly wait: number;
  /** Rounds of work in eom, 0 for none. */
  readonly turns: number;
  /** Whether handlers for which the MTA need not wait are marked so. */
  readonly noreply: boolean;
}

export function settings(): Settings {
  const { BENCH_WAIT = '0', BENCH_TURNS = '0', BENCH_NOREPLY = '' } = process.env;
  return { wait: Number(BENCH_WAIT), turns: Number(BENCH_TURNS), noreply: BENCH_NOREPLY !== '' };
}
