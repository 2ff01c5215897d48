/** How long to fuzz, and where the random numbers begin. */

/**
 * The seed of a run, which a failure names. MILTER_SEED in the environment repeats a run; `npm run fuzz` begins each
 * run with another one.
 */
export const SEED = Number(process.env.MILTER_SEED ?? 1);

/** Seconds for which the protocol is fuzzed: a sanitizer's build is what fuzzing is for. `npm run fuzz` asks for more. */
export const SECONDS = Number(process.env.MILTER_FUZZ_SECONDS ?? (process.env.MILTER_SANITIZER ? 30 : 5));

/** Runs `work`; an error that it throws gets the seed in front of its message. */
export async function seeded<T>(seed: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error) error.message = `seed ${seed} (MILTER_SEED=${SEED}): ${error.message}`;
    throw error;
  }
}
