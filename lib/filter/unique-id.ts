/** Numbers that are unique in the process. */
import { types } from 'node:util';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Worker threads that are started later inherit the memory under this key, so that all threads share one counter. */
const KEY = 'tsmilter.uniqueID';

function counter(): Int32Array {
  let shared = getEnvironmentData(KEY) as SharedArrayBuffer | undefined;
  if (!types.isSharedArrayBuffer(shared)) {
    shared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    setEnvironmentData(KEY, shared as unknown as Parameters<typeof setEnvironmentData>[1]);
  }
  return new Int32Array(shared);
}

const count = counter();

/** The next number, starting from 1, unique across the threads of the process. pymilter: uniqueID. */
export function uniqueID(): number {
  return (Atomics.add(count, 0, 1) + 1) >>> 0;
}
