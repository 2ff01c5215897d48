/** The boundaries of all multiparts that are open, and the lines that begin with one. */

/** RFC 2046 5.1.1 allows no longer ones. Longer ones are compared with whole lines only. */
const MAX_LENGTH = 70;

export class OpenBoundaries {
  /** For each boundary the levels that declare it, the innermost last. */
  readonly #levels = new Map<string, number[]>();
  /** For each level what it declares; nothing unless it is a multipart. */
  readonly #declared: ReadonlySet<string>[] = [];
  /** The length of the longest boundary up to each level; -1 if there is none. */
  readonly #longest: number[] = [];
  /** How many boundaries there are of each length. */
  readonly #lengths = new Map<number, number>();

  /** Opens a level. */
  push(boundaries: ReadonlySet<string>): void {
    let longest = this.longest;
    const level = this.#declared.length;
    for (const boundary of boundaries) {
      const levels = this.#levels.get(boundary);
      if (levels) levels.push(level);
      else this.#levels.set(boundary, [level]);
      longest = Math.max(longest, boundary.length);
      this.#count(boundary.length, 1);
    }
    this.#declared.push(boundaries);
    this.#longest.push(longest);
  }

  /** Closes the innermost level. */
  pop(): void {
    this.#longest.pop();
    for (const boundary of this.#declared.pop() ?? []) {
      const levels = this.#levels.get(boundary) as number[];
      levels.pop();
      if (levels.length === 0) this.#levels.delete(boundary);
      this.#count(boundary.length, -1);
    }
  }

  #count(length: number, change: 1 | -1): void {
    if (length === 0 || length > MAX_LENGTH) return;
    const count = (this.#lengths.get(length) ?? 0) + change;
    if (count === 0) this.#lengths.delete(length);
    else this.#lengths.set(length, count);
  }

  /** The length of the longest boundary; -1 if no multipart is open. */
  get longest(): number {
    return this.#longest.at(-1) ?? -1;
  }

  /** The innermost level that declares `boundary`; -1 if there is none. */
  levelOf(boundary: string): number {
    return this.#levels.get(boundary)?.at(-1) ?? -1;
  }

  /** The innermost multipart; -1 if there is none. */
  get innermost(): number {
    return this.#declared.findLastIndex((boundaries) => boundaries.size > 0);
  }

  /**
   * Whether a line begins with a boundary, and goes on: to programs that compare no more than RFC 2046 5.1.1 asks for, a part begins
   * there. One that goes on with `--` only ends something.
   *
   * @param text the line after its `--`
   */
  begins(text: string): boolean {
    for (const length of this.#lengths.keys())
      if (length < text.length && this.#levels.has(text.slice(0, length)) && !text.startsWith('--', length))
        return true;
    return false;
  }
}
