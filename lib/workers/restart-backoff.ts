/** How long to wait before a worker that has died is replaced. */

const MIN_DELAY = 100;
const MAX_DELAY = 10_000;
/** A worker that has taken sessions for this long has not failed because of how it starts. */
const STABLE_AFTER = 10_000;

/** Exponential: 0.1 s, doubled up to 10 s while workers die early; 0 after one that was stable, which starts it over. */
export class RestartBackoff {
  #delay = MIN_DELAY;

  /**
   * The delay before the next worker, in milliseconds.
   * @param servedFor milliseconds that the last worker took sessions; 0 where it never did
   */
  next(servedFor: number): number {
    if (servedFor >= STABLE_AFTER) {
      this.#delay = MIN_DELAY;
      return 0;
    }
    const delay = this.#delay;
    this.#delay = Math.min(2 * delay, MAX_DELAY);
    return delay;
  }
}
