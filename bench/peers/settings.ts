/** What the filter is told, by its environment, for workers have that too. */
export interface Settings {
  /** Milliseconds that eom awaits. */
  readonly wait: number;
  /** Turns of work in eom; 0: none. */
  readonly turns: number;
}

export function settings(): Settings {
  return { wait: Number(process.env.BENCH_WAIT ?? 0), turns: Number(process.env.BENCH_TURNS ?? 0) };
}
