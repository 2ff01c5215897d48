/** Bytes that are generated on write, block by block, instead of being held in memory as a second copy of the message. */
export interface ByteSource {
  /** An upper bound for the number of bytes. */
  readonly maxLength: number;
  /** Generates the bytes; each call starts anew. A block is valid only until the next one is requested. */
  blocks(): Iterable<Buffer>;
}

/** Yields the pieces as blocks that stay valid. */
export function* toBlocks(pieces: Iterable<Buffer | ByteSource>): Generator<Buffer> {
  for (const piece of pieces) {
    if (Buffer.isBuffer(piece)) yield piece;
    else for (const block of piece.blocks()) yield Buffer.from(block);
  }
}

/** An upper bound for the number of bytes in all pieces. */
export function maxLengthOf(pieces: readonly (Buffer | ByteSource)[]): number {
  return pieces.reduce((sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.maxLength), 0);
}

/** Concatenates the pieces in a new Buffer. */
export function toBuffer(pieces: readonly (Buffer | ByteSource)[]): Buffer {
  const buffers = pieces.filter((piece) => Buffer.isBuffer(piece));
  if (buffers.length === pieces.length) return Buffer.concat(buffers);
  // Allocated for the longest result: pages that are never written cost nothing, while concatenating the blocks would need
  // the memory twice.
  const all = Buffer.allocUnsafeSlow(maxLengthOf(pieces));
  let length = 0;
  for (const piece of pieces) {
    for (const block of Buffer.isBuffer(piece) ? [piece] : piece.blocks()) {
      all.set(block, length);
      length += block.length;
    }
  }
  return all.subarray(0, length);
}
