/** Waits that end: each names what it waited for when its time is over. */
import { setTimeout as sleep } from 'node:timers/promises';

/** What a wait may take where the test says nothing else: long enough for a sanitizer's build on a busy machine. */
export const PATIENCE = 20_000;

/** Resolves as `promise` does; rejects, naming `what`, when `ms` milliseconds have passed. */
export async function within<T>(what: string, promise: Promise<T>, ms = PATIENCE): Promise<T> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).then(
    () => {
      throw new Error(`${what}: not within ${ms} ms`);
    },
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** Looks every few milliseconds until `look` says true; rejects with what it last found otherwise. */
export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  ms = PATIENCE,
  found: () => string = () => '',
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms} ms ${found()}`.trimEnd());
    await sleep(5);
  }
}

/** Runs `work` for each of `items`, at most `lanes` at a time. */
export async function inLanes<T>(lanes: number, items: Iterable<T>, work: (item: T) => Promise<void>) {
  const queue = items[Symbol.iterator]();
  const lane = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
