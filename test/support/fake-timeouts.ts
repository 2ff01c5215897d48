/** Time that a test controls, for timeouts whose outcome must not depend on how busy the machine is. */
import { jest } from '@jest/globals';

/** Everything but `setTimeout` and `clearTimeout` stays real: sockets and promises work as usual. */
const REAL = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setInterval',
  'clearInterval',
] as const;

export class FakeTimeouts implements Disposable {
  /** @param withClock whether `performance.now()` is faked too */
  constructor({ withClock = false } = {}) {
    jest.useFakeTimers({ doNotFake: REAL.filter((name) => !(withClock && name === 'performance')) });
  }

  /** Lets this much time pass. */
  advance(milliseconds: number): void {
    jest.advanceTimersByTime(milliseconds);
  }

  [Symbol.dispose](): void {
    jest.useRealTimers();
  }
}

/** Runs the event loop until the condition holds. */
export async function turnsUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/**
 * Lets both ends of a local socket read what has been written to it: the kernel passes it on within the system call, so
 * that the next turns of the event loop find it.
 */
export async function localDelivery(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
}
