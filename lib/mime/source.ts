/** Where a message comes from. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { badArgument } from '../internal/errors.js';
import { limitReached, type MimeLimits } from './limits.js';
import { joinChunks, PagedBuffer } from './paged-buffer.js';

/** Bytes, a stream of bytes, or the path of a file. */
export type MessageSource = Uint8Array | string | AsyncIterable<Uint8Array>;

/** Bytes of a file that are read at a time. */
const FILE_CHUNK = 256 * 1024;

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The bytes of a source, in chunks. @throws MilterError ERR_MILTER_BAD_ARGUMENT, and what reading throws */
export async function* chunksOf(source: MessageSource): AsyncGenerator<Buffer> {
  if (source instanceof Uint8Array) {
    yield asBuffer(source);
    return;
  }
  const stream = typeof source === 'string' ? createReadStream(source) : source;
  if (typeof stream?.[Symbol.asyncIterator] !== 'function')
    throw badArgument('mime: a message is a Buffer, a stream or the path of a file');
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array))
      throw badArgument('mime: a stream of a message must give bytes: set no encoding');
    yield asBuffer(chunk);
  }
}

/** All bytes of a source. @throws MilterError ERR_MILTER_MIME_LIMIT, ERR_MILTER_BAD_ARGUMENT */
export async function readAll(source: MessageSource, limits: MimeLimits): Promise<Buffer> {
  if (source instanceof Uint8Array) return asBuffer(source);
  const store = new PagedBuffer();
  for await (const chunk of typeof source === 'string'
    ? chunksOfFile(source, store, limits.maxSize)
    : chunksOf(source)) {
    if (store.length + chunk.length > limits.maxSize)
      throw limitReached('maxSize', limits.maxSize, 'bytes of a message');
    store.add(chunk);
  }
  return joinChunks(store.take());
}

/** The bytes of a file, in chunks that are valid until the next one: read so, they leave no garbage. */
async function* chunksOfFile(path: string, store: PagedBuffer, most: number): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size <= most) store.expect(size);
    const chunk = Buffer.allocUnsafe(FILE_CHUNK);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
