/** A signal that is aborted after a time, or with another one, and leaves nothing behind. */
import { setMaxListeners } from 'node:events';

/**
 * AbortSignal.any and AbortSignal.timeout hold their parts weakly, and in some versions of Node forget them with the garbage.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;
  readonly #follow = () => this.#controller.abort();
  #passed = false;

  /** @param milliseconds from now on */
  constructor(milliseconds: number, outer?: AbortSignal) {
    setMaxListeners(0, this.#controller.signal); // one for each look-up under way: no leak to warn of
    this.#timer = setTimeout(() => {
      this.#passed = true;
      this.#controller.abort();
    }, milliseconds);
    this.#outer = outer;
    outer?.addEventListener('abort', this.#follow, { once: true });
    if (outer?.aborted) this.#follow();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time has run out, rather than the other signal been aborted. */
  get passed(): boolean {
    return this.#passed;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#follow);
  }
}

/** Undefined where the signal is aborted first: a resolver of someone else's knows nothing of it. */
export function inTime<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const aborted = () => resolve(undefined);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
