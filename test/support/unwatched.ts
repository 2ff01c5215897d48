/** The environment for foreign programs. */

const { LD_PRELOAD, MILTER_ADDON, ...rest } = process.env;

/**
 * The environment of this process without a sanitizer (scripts/runner/sanitizers.mjs), for programs that none watches: a shell, and so
 * whatever runs one, crashes at its start with ThreadSanitizer preloaded, and npm and the compiler take minutes.
 */
export const unwatched: NodeJS.ProcessEnv = rest;

/** Arguments for env(1), by which such a program starts one of ours that is watched again. */
export const watching: readonly string[] = Object.entries({ LD_PRELOAD, MILTER_ADDON }).flatMap(
  ([name, value]) => (value === undefined ? [] : `${name}=${value}`),
);
