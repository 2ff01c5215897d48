/** Returns a Buffer of at least `size` bytes. */
export type Allocate = (size: number) => Buffer;

/** A buffer that is reused for one decoded content after the other, to avoid one large allocation per part. */
export class ReusableBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #owner: object | null = null;
  #content: Buffer = this.#bytes;

  /**
   * Returns the content of `owner`. It is decoded again if the buffer has been used for another owner since. The result is
   * valid until the next call.
   *
   * @param decode produces the content in memory that it allocates with the given function
   */
  content(owner: object, decode: (allocate: Allocate) => Buffer): Buffer {
    if (this.#owner === owner) return this.#content;
    this.#owner = null;
    this.#content = decode((size) => {
      if (size > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(size);
      return this.#bytes;
    });
    this.#owner = owner;
    return this.#content;
  }
}
