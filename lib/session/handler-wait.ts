/** A handler whose promise is awaited, with the timers that run meanwhile. */
export class HandlerWait {
  /** The wait has ended, with the handler's answer or without. */
  over = false;
  /** Whether the handler's answer, which comes after the end of the wait, is reported as an error. */
  reportsLateAnswer = true;
  #timeout: NodeJS.Timeout | undefined;
  #progress: NodeJS.Timeout | undefined;

  /** Calls `onTimeout` once, when the handler has taken this long. */
  limit(milliseconds: number, onTimeout: () => void): void {
    this.#timeout = setTimeout(onTimeout, milliseconds);
  }

  /** Calls `onInterval` time and again until the wait ends. */
  every(milliseconds: number, onInterval: () => void): void {
    this.#progress = setInterval(onInterval, milliseconds);
  }

  end(): void {
    this.over = true;
    clearTimeout(this.#timeout);
    clearInterval(this.#progress);
  }
}
