/** Where a message comes from. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { MilterError } from '../errors.js';
import { limitReached, type MimeLimits } from './limits.js';
import { ByteStore, joined } from './store.js';

/** Bytes, a stream of bytes, or the path of a file. */
export type MessageSource = Uint8Array | string | AsyncIterable<Uint8Array>;

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
    throw bad('a message is a Buffer, a stream or the path of a file');
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw bad('a stream of a message must give bytes: set no encoding');
    yield asBuffer(chunk);
  }
}

/** All bytes of a source. @throws MilterError ERR_MILTER_MIME_LIMIT, ERR_MILTER_BAD_ARGUMENT */
export async function readAll(source: MessageSource, limits: MimeLimits): Promise<Buffer> {
  if (source instanceof Uint8Array) return asBuffer(source);
  const store = new ByteStore(await expectedOf(source, limits));
  for await (const chunk of chunksOf(source)) {
    if (store.length + chunk.length > limits.maxSize)
      throw limitReached('maxSize', limits.maxSize, 'bytes of a message');
    store.add(chunk);
  }
  return joined(store.take());
}

/** How large a file is: its bytes then need not be moved. Undefined where that cannot be told. */
async function expectedOf(source: MessageSource, limits: MimeLimits): Promise<number | undefined> {
  if (typeof source !== 'string') return undefined;
  const size = await stat(source).then(
    (stats) => stats.size,
    () => 0, // reading it will tell
  );
  return Math.min(size, limits.maxSize);
}

function bad(message: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_ARGUMENT', `mime: ${message}`);
}
