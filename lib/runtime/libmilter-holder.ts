/**
 * Which copy of this package has libmilter in this thread. Two copies in one process have an addon each, which knows only the threads
 * of its own copy, but libmilter is the same for both: a second smfi_register would take it away from the first.
 */

/** A copy's runtime. */
export interface LibmilterHolder {
  /** Its filter has run and ended: libmilter starts no other one. */
  readonly ended: boolean;
}

const KEY = Symbol.for('tsmilter.libmilterHolder');
const thread = globalThis as { [KEY]?: LibmilterHolder };

/** Takes libmilter for a copy, if no other one has it. @returns the one that has it */
export function holdLibmilter(holder: LibmilterHolder): LibmilterHolder {
  thread[KEY] ??= holder;
  return thread[KEY];
}

/** Leaves libmilter to the other copies. Without effect for one that does not have it. */
export function releaseLibmilter(holder: LibmilterHolder): void {
  if (thread[KEY] === holder) delete thread[KEY];
}
