/** Stops asking a server that does not reply, so that not every caller waits for the timeout. */
export class CircuitBreaker {
  readonly #retryAfter: number;
  #failure: Error | undefined;
  /** When the next request may be sent after a failure, in the time of performance.now(). */
  #retryAt = 0;
  /** Whether that request has been sent and is pending. */
  #trying = false;

  /** @param retryAfter milliseconds without requests after a failure */
  constructor(retryAfter: number) {
    this.#retryAfter = retryAfter;
  }

  /** Call it before each request. @returns the error with which the request fails at once, or undefined if it may be sent */
  check(): Error | undefined {
    if (this.#failure === undefined) return undefined;
    const left = this.#retryAt - performance.now();
    if (left <= 0 && !this.#trying) {
      this.#trying = true;
      return undefined;
    }
    const pause = left > 0 ? `for the next ${Math.ceil(left)} ms` : 'while another request is trying';
    return new Error(`${this.#failure.message}; not asked again ${pause}`, { cause: this.#failure });
  }

  /** The server has replied, or could not be reached: either way, the next request will not have to wait. */
  close(): void {
    this.#failure = undefined;
    this.#trying = false;
  }

  /** The server has not replied. */
  open(failure: Error): void {
    this.#failure = failure;
    this.#retryAt = performance.now() + this.#retryAfter;
    this.#trying = false;
  }
}
