/** Bytes in chunks. */

/** The number of bytes in all chunks. */
export const sizeOf = (chunks: readonly Uint8Array[]): number =>
  chunks.reduce((sum, { length }) => sum + length, 0);

/** All chunks as one Buffer. A single chunk is returned as it is, without a copy. */
export function joinChunks(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

/** The same bytes in blocks of `size`; only the last one may be shorter. A block is valid until the next one is requested. */
export function* inBlocks(chunks: Iterable<Uint8Array>, size: number): Generator<Buffer> {
  const block = Buffer.allocUnsafe(size);
  let used = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + size - used);
      block.set(part, used);
      used += part.length;
      at += part.length;
      if (used < size) continue;
      yield block;
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}
