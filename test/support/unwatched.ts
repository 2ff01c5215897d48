/** The environment for foreign programs. */

const { LD_PRELOAD: _library, MILTER_ADDON: _addon, ...rest } = process.env;

/**
 * The environment of this process without a sanitizer (scripts/runner/sanitizers.mjs), for programs that none watches: bash, and so
 * whatever runs it, crashes at its start with ThreadSanitizer preloaded, and npm and the compiler take minutes.
 */
export const unwatched: NodeJS.ProcessEnv = rest;
