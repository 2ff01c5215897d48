/** Reading of messages from files, streams and memory. */

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { types } from 'node:util';
import { badArgument } from '../internal/errors.js';
import { joinChunks } from './chunks.js';
import { limitReached, type MimeLimits } from './limits.js';
import { PagedBuffer } from './paged-buffer.js';

/** Bytes, a stream of bytes, or the path of a file. */
export type MessageSource = Uint8Array | string | AsyncIterable<Uint8Array>;

/** A file is read in chunks of this size. */
const FILE_CHUNK = 256 * 1024;

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The bytes of a source, in chunks. @throws MilterError ERR_MILTER_BAD_ARGUMENT, and errors of the file or stream */
export async function* chunksOf(source: MessageSource): AsyncGenerator<Buffer> {
  if (types.isUint8Array(source)) {
    yield asBuffer(source);
    return;
  }
  const stream = typeof source === 'string' ? createReadStream(source) : source;
  if (typeof stream?.[Symbol.asyncIterator] !== 'function')
    throw badArgument('mime: a message is a Buffer, a stream or the path of a file');
  for await (const chunk of stream) {
    if (!types.isUint8Array(chunk))
      throw badArgument('mime: a stream of a message must give bytes: set no encoding');
    yield asBuffer(chunk);
  }
}

/** All bytes of a source. @throws MilterError ERR_MILTER_MIME_LIMIT, ERR_MILTER_BAD_ARGUMENT */
export async function readAll(source: MessageSource, limits: MimeLimits): Promise<Buffer> {
  if (types.isUint8Array(source)) return asBuffer(source);
  const content = new PagedBuffer();
  for await (const chunk of typeof source === 'string'
    ? chunksOfFile(source, content, limits.maxSize)
    : chunksOf(source)) {
    if (content.length + chunk.length > limits.maxSize)
      throw limitReached('maxSize', limits.maxSize, 'bytes of a message');
    content.add(chunk);
  }
  return joinChunks(content.take());
}

/** The bytes of a file, in one buffer that is reused for each chunk. A chunk is valid only until the next one is requested. */
async function* chunksOfFile(path: string, content: PagedBuffer, maxSize: number): AsyncGenerator<Buffer> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size <= maxSize) content.reserve(size);
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
