/** Memory that large contents are decoded in, one after the other: the garbage of each would be there until it is collected. */
export class ReusableBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #owner: object | null = null;
  #content: Buffer = this.#bytes;

  /**
   * The content of `owner`, made anew where another one's was made since. It is valid until the next call.
   *
   * @param make makes it, in the memory that it may ask for
   */
  content(owner: object, make: (room: (size: number) => Buffer) => Buffer): Buffer {
    if (this.#owner === owner) return this.#content;
    this.#owner = null;
    this.#content = make((size) => {
      if (size > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(size);
      return this.#bytes;
    });
    this.#owner = owner;
    return this.#content;
  }
}
