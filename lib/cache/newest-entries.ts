/** The newest entries of a file, collected in limited memory and in small steps. */
import type { Entry } from './entry-line.js';

interface Dated {
  readonly address: string;
  stamp: number;
  /** The place in the heap. */
  at: number;
}

/**
 * One entry for each address: the one that never expires, or otherwise the newest. Of those with a date, only the `maxEntries`
 * newest are kept, in a heap with the oldest on top: adding one takes logarithmic time, and nothing has to be sorted at once.
 */
export class NewestEntries {
  readonly #maxEntries: number;
  readonly #permanent = new Set<string>();
  readonly #dated = new Map<string, Dated>();
  readonly #heap: Dated[] = [];

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** The number of entries that are kept. */
  get size(): number {
    return this.#permanent.size + this.#heap.length;
  }

  add({ address, stamp }: Entry): void {
    const known = this.#dated.get(address);
    if (stamp === null) {
      if (known) this.#remove(known);
      this.#permanent.add(address);
    } else if (known) {
      if (stamp > known.stamp) {
        known.stamp = stamp;
        this.#siftDown(known.at);
      }
    } else if (!this.#permanent.has(address)) {
      const entry = { address, stamp, at: this.#heap.length };
      this.#heap.push(entry);
      this.#dated.set(address, entry);
      this.#siftUp(entry.at);
      if (this.#heap.length > this.#maxEntries) this.#remove(this.#heap[0] as Dated);
    }
  }

  /** Yields the entries that never expire, then removes and yields the others, the oldest first. */
  *drain(): Generator<Entry> {
    for (const address of this.#permanent) yield { address, stamp: null };
    for (let oldest = this.#heap[0]; oldest !== undefined; oldest = this.#heap[0]) {
      this.#remove(oldest);
      yield { address: oldest.address, stamp: oldest.stamp };
    }
  }

  #remove(entry: Dated): void {
    this.#dated.delete(entry.address);
    const last = this.#heap.pop() as Dated;
    if (last === entry) return;
    this.#place(last, entry.at);
    this.#siftUp(last.at);
    this.#siftDown(last.at);
  }

  #place(entry: Dated, at: number): void {
    entry.at = at;
    this.#heap[at] = entry;
  }

  #siftUp(from: number): void {
    const entry = this.#heap[from] as Dated;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#heap[above] as Dated;
      if (parent.stamp <= entry.stamp) break;
      this.#place(parent, at);
      at = above;
    }
    this.#place(entry, at);
  }

  #siftDown(from: number): void {
    const entry = this.#heap[from] as Dated;
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const right = this.#heap[left + 1];
      const smaller =
        right !== undefined && right.stamp < (this.#heap[left] as Dated).stamp ? left + 1 : left;
      const child = this.#heap[smaller];
      if (child === undefined || child.stamp >= entry.stamp) break;
      this.#place(child, at);
      at = smaller;
    }
    this.#place(entry, at);
  }
}
