/** Bytes that are made while they are written, block by block: all of them at once would be one more copy of a message. */
export interface ByteSource {
  /** No more bytes than this. */
  readonly most: number;
  /** The bytes; each call makes them anew. A block is valid until the next one is asked for. */
  blocks(): Iterable<Buffer>;
}

/** The pieces, in blocks that stay valid. */
export function* toBlocks(pieces: Iterable<Buffer | ByteSource>): Generator<Buffer> {
  for (const piece of pieces) {
    if (Buffer.isBuffer(piece)) yield piece;
    else for (const block of piece.blocks()) yield Buffer.from(block);
  }
}

/** The pieces as one Buffer of its own. */
export function toBuffer(pieces: readonly (Buffer | ByteSource)[]): Buffer {
  const known = pieces.filter((piece) => Buffer.isBuffer(piece));
  if (known.length === pieces.length) return Buffer.concat(known);
  // Room for the longest result. Memory that is never written to is not used; to join blocks would take them twice.
  const most = pieces.reduce((sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.most), 0);
  const all = Buffer.allocUnsafeSlow(most);
  let length = 0;
  for (const piece of pieces) {
    for (const block of Buffer.isBuffer(piece) ? [piece] : piece.blocks()) {
      all.set(block, length);
      length += block.length;
    }
  }
  return all.subarray(0, length);
}
