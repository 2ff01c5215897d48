const FIRST_PAGE_SIZE = 64 * 1024;
const MAX_PAGE_SIZE = 1024 * 1024;

/** Collects chunks in pages. Each byte is copied only once, so the memory used is little more than the size of the content. */
export class PagedBuffer {
  #pages: Buffer[] = [];
  /** The page that is being filled, and the number of bytes in it. */
  #page: Buffer = Buffer.alloc(0);
  #used = 0;
  #length = 0;
  #nextPageSize = FIRST_PAGE_SIZE;

  /** Makes the next page large enough for `size` bytes. */
  reserve(size: number): void {
    this.#nextPageSize = Math.max(size, FIRST_PAGE_SIZE);
  }

  get length(): number {
    return this.#length;
  }

  /** Appends a copy of the chunk. */
  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#used === this.#page.length) this.#startPage();
      const part = chunk.subarray(at, at + this.#page.length - this.#used);
      this.#page.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
    this.#length += chunk.length;
  }

  #startPage(): void {
    if (this.#used > 0) this.#pages.push(this.#page);
    // Neither zeroed nor pooled: pages of memory that are never written cost nothing.
    this.#page = Buffer.allocUnsafeSlow(this.#nextPageSize);
    this.#used = 0;
    this.#nextPageSize = Math.min(2 * FIRST_PAGE_SIZE + this.#length, MAX_PAGE_SIZE);
  }

  /** Returns all bytes in pages, and empties the buffer. */
  take(): Buffer[] {
    const pages = [...this.#pages, this.#page.subarray(0, this.#used)];
    this.#pages = [];
    this.#page = Buffer.alloc(0);
    this.#used = 0;
    this.#length = 0;
    this.#nextPageSize = FIRST_PAGE_SIZE;
    return pages;
  }
}
