/** Bytes that are made while they are written, block by block: all of them at once would be one more copy of a message. */
export interface Lazy {
  /** No more bytes than this. */
  readonly most: number;
  /** The bytes; each call makes them anew. */
  blocks(): Iterable<Buffer>;
}

const blocksOf = (piece: Buffer | Lazy): Iterable<Buffer> =>
  Buffer.isBuffer(piece) ? [piece] : piece.blocks();

/** The pieces, in blocks. */
export function* written(pieces: Iterable<Buffer | Lazy>): Generator<Buffer> {
  for (const piece of pieces) yield* blocksOf(piece);
}

/** The pieces as one Buffer of its own. */
export function gathered(pieces: readonly (Buffer | Lazy)[]): Buffer {
  const known = pieces.filter((piece) => Buffer.isBuffer(piece));
  if (known.length === pieces.length) return Buffer.concat(known);
  // Room for the longest result. Memory that is never written to is not used; to join blocks would take them twice.
  const most = pieces.reduce((sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.most), 0);
  const all = Buffer.allocUnsafeSlow(most);
  let length = 0;
  for (const block of written(pieces)) {
    all.set(block, length);
    length += block.length;
  }
  return all.subarray(0, length);
}
