/** Gathers chunks in pages. What is added is copied once and not again, so all of it needs little more than its size. */
const FIRST_PAGE_SIZE = 64 * 1024;
const MAX_PAGE_SIZE = 1024 * 1024;

export class PagedBuffer {
  #pages: Buffer[] = [];
  /** The page that is being filled, and how far. */
  #page: Buffer = Buffer.alloc(0);
  #used = 0;
  #length = 0;
  #next = FIRST_PAGE_SIZE;

  /** So many bytes will come, so that they are in one page. */
  expect(size: number): void {
    this.#next = Math.max(size, FIRST_PAGE_SIZE);
  }

  get length(): number {
    return this.#length;
  }

  /** Copies a chunk behind the others. */
  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#used === this.#page.length) this.#turn();
      const part = chunk.subarray(at, at + this.#page.length - this.#used);
      this.#page.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
    this.#length += chunk.length;
  }

  #turn(): void {
    if (this.#used > 0) this.#pages.push(this.#page);
    // Not zeroed and not pooled: memory that is never written to is not used either.
    this.#page = Buffer.allocUnsafeSlow(this.#next);
    this.#used = 0;
    this.#next = Math.min(2 * FIRST_PAGE_SIZE + this.#length, MAX_PAGE_SIZE);
  }

  /** All bytes, in pieces; the store is empty afterwards. */
  take(): Buffer[] {
    const pages = [...this.#pages, this.#page.subarray(0, this.#used)];
    this.#pages = [];
    this.#page = Buffer.alloc(0);
    this.#used = 0;
    this.#length = 0;
    this.#next = FIRST_PAGE_SIZE;
    return pages;
  }
}

/** The pieces as one: itself where there is but one. */
export function joinChunks(pieces: readonly Buffer[]): Buffer {
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}
