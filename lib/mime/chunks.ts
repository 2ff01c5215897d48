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

/** Bytes are searched in windows of this size, because a string of all of them would be one more copy. */
const WINDOW = 64 * 1024;

/** Whether `pattern`, which matches `length` characters at most, occurs in the bytes. They are read as latin1. */
export function hasMatch(bytes: Buffer, pattern: RegExp, length: number): boolean {
  for (let begin = 0; begin < bytes.length; begin += WINDOW) {
    const end = Math.min(bytes.length, begin + WINDOW + length - 1);
    if (pattern.test(bytes.toString('latin1', begin, end))) return true;
  }
  return false;
}
