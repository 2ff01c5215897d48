/** Waits with a time limit; the error says what was awaited. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * The time limit of a wait, in milliseconds, unless the caller says otherwise. It guards against hanging and proves nothing
 * about speed, so it is long enough for a sanitizer's build on a busy machine.
 */
export const TIMEOUT = 30_000;

/** Resolves as `promise` does; rejects, naming `what`, after `timeout` milliseconds. */
export async function within<T>(
  what: string | (() => string),
  promise: Promise<T>,
  timeout = TIMEOUT,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${typeof what === 'string' ? what : what()}: not within ${timeout} ms`));
    }, timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Calls `look` every few milliseconds until it returns something other than undefined or false, and resolves to that.
 * Rejects, naming `what` and what was `found`, after `timeout` milliseconds.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  timeout = TIMEOUT,
  found: () => string = () => '',
): Promise<T> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const result = await look();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > deadline)
      throw new Error(`${what}: not within ${timeout} ms ${found()}`.trimEnd());
    await sleep(10);
  }
}
