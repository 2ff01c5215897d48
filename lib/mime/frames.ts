/** What stands before, between and after the parts of a multipart. */
import type { Frame } from './part-tree.js';

export class Frames {
  readonly #bytes: Buffer;
  readonly #frames: readonly Frame[];
  #isRepaired = false;

  /** @param bytes what the offsets in `frames` refer to */
  constructor(bytes: Buffer, frames: readonly Frame[]) {
    this.#bytes = bytes;
    this.#frames = frames;
  }

  /** As they are written. */
  toBuffers(): Buffer[] {
    return this.#frames.map(({ begin, end, loose }) =>
      loose && this.#isRepaired
        ? Buffer.concat([this.#bytes.subarray(begin, loose.begin), loose.exact])
        : this.#bytes.subarray(begin, end),
    );
  }

  /** Whether there are lines that only start with a boundary, before parts that matter. */
  get areLoose(): boolean {
    return !this.#isRepaired && this.#frames.some(({ loose }) => loose !== null);
  }

  /** From now on, these lines are written as boundaries. */
  repair(): void {
    this.#isRepaired = true;
  }
}
