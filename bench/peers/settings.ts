/** The filter's settings, in environment variables because workers have those too. */
export interface Settings {
  /** Milliseconds that eom awaits. */
  readonly wait: number;
  /** Rounds of work in eom, 0 for none. */
  readonly turns: number;
}

export function settings(): Settings {
  return { wait: Number(process.env.BENCH_WAIT ?? 0), turns: Number(process.env.BENCH_TURNS ?? 0) };
}
