/** The same work in each language: rounds of a 32-bit xorshift. */
export function work(turns: number): number {
  let x = 2463534242;
  for (let i = 0; i < turns; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  return x;
}

/** How many rounds take that long on an idle CPU: the best of many attempts counts. */
export function calibrate(milliseconds: number): number {
  const turns = 20_000;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 2_000; i++) {
    const begin = performance.now();
    kept = work(turns);
    best = Math.min(best, performance.now() - begin);
  }
  return Math.round((milliseconds / best) * turns);
}

/** The result must be used, or the optimiser would remove the work. */
export let kept = 0;
