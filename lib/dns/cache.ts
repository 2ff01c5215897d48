/** A cache whose entries expire. When it is full, the oldest entry is evicted. */

interface Entry<T> {
  readonly value: T;
  readonly expires: number;
}

export class TtlCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #size: number;
  readonly #now: () => number;

  constructor(size: number, now: () => number) {
    this.#size = size;
    this.#now = now;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expires > this.#now()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /** @param ttl milliseconds; a value with 0 is not cached */
  set(key: string, value: T, ttl: number): void {
    this.#entries.delete(key);
    if (ttl <= 0 || this.#size === 0) return;
    if (this.#entries.size >= this.#size) this.#entries.delete(this.#entries.keys().next().value as string);
    this.#entries.set(key, { value, expires: this.#now() + ttl });
  }
}
