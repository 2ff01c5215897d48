/** Deadlines as abort signals. */
import { setMaxListeners } from 'node:events';
import { onAbort } from './on-abort.js';

/**
 * An abort signal that is aborted after a time, or together with one of other signals.
 *
 * AbortSignal.any and AbortSignal.timeout refer to their sources weakly, and some versions of Node collect these too early.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #unfollow: readonly (() => void)[];
  #passed = false;

  /** @param milliseconds from now on */
  constructor(milliseconds: number, ...outers: readonly (AbortSignal | undefined)[]) {
    setMaxListeners(0, this.#controller.signal); // one listener for each pending lookup is not a leak
    this.#timer = setTimeout(() => {
      this.#passed = true;
      this.#controller.abort();
    }, milliseconds);
    this.#unfollow = outers
      .filter((outer) => outer !== undefined)
      .map((outer) => onAbort(outer, () => this.#controller.abort()));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time has run out, in contrast to another signal having been aborted. */
  get passed(): boolean {
    return this.#passed;
  }

  /** The process does not stay alive for it. */
  unref(): void {
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const unfollow of this.#unfollow) unfollow();
  }
}

/** Waits for a promise, or resolves with undefined once the signal is aborted. Custom resolvers do not take a signal. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const unsubscribe = onAbort(signal, () => resolve(undefined));
    promise.then(resolve, reject).finally(unsubscribe);
  });
}
