/** How long a worker's place stays empty before the next one is started. */

const SHORTEST = 100;
const LONGEST = 10_000;
/** A worker that served this long was no failure from the start. */
const LONG_LIFE = 10_000;

/** 0.1 s, doubled up to 10 s while workers die young; none for the successor of one that served 10 s or more. */
export class Pause {
  #next = SHORTEST;

  /** @param served milliseconds that the last worker took sessions; 0 where it never did @returns milliseconds */
  after(served: number): number {
    if (served >= LONG_LIFE) {
      this.#next = SHORTEST;
      return 0;
    }
    const pause = this.#next;
    this.#next = Math.min(2 * pause, LONGEST);
    return pause;
  }
}
