/** Numbers that no two sessions of a process share. */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Worker threads that are started later inherit it, and count on with the same memory. */
const KEY = 'tsmilter.uniqueID';

function counter(): Int32Array {
  let shared = getEnvironmentData(KEY) as SharedArrayBuffer | undefined;
  if (!(shared instanceof SharedArrayBuffer)) {
    shared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    setEnvironmentData(KEY, shared as unknown as Parameters<typeof setEnvironmentData>[1]);
  }
  return new Int32Array(shared);
}

const count = counter();

/** The next number, from 1, unique across the process's threads (pymilter's uniqueID). */
export function uniqueID(): number {
  return (Atomics.add(count, 0, 1) + 1) >>> 0;
}
