/** The body of a message as a document: read it as often as needed, or put another one in its place. */
import { Readable } from 'node:stream';
import { types } from 'node:util';
import { encodeBytes } from '../internal/bytes.js';
import { badArgument, MilterError } from '../internal/errors.js';

/** A new body: text, which is written as UTF-8, bytes, or a stream of bytes. Its lines should end in CRLF. */
export type BodySource = string | Uint8Array | AsyncIterable<Uint8Array>;

/** What {@link Body} reads. */
export interface BodyReader {
  readonly size: number;
  readonly inMemory: boolean;
  read(): AsyncIterable<Buffer>;
}

/** The body of a message as it arrived; an edit does not change what is read here. */
export class Body implements AsyncIterable<Buffer> {
  readonly #reader: BodyReader;

  /** @internal */
  constructor(reader: BodyReader) {
    this.#reader = reader;
  }

  /** Bytes. */
  get size(): number {
    return this.#reader.size;
  }

  /** Whether it is held in memory, and not in a temporary file. */
  get inMemory(): boolean {
    return this.#reader.inMemory;
  }

  /** The bytes in pieces, from the beginning. A piece may be kept. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.#reader.read()[Symbol.asyncIterator]();
  }

  /** A new stream of the bytes, from the beginning. It must be read before the handler returns. */
  stream(): Readable {
    return Readable.from(this.#reader.read(), { objectMode: false });
  }

  /**
   * All bytes at once.
   * @param maxSize bytes. Default: 32 MiB
   * @throws MilterError ERR_MILTER_MIME_LIMIT if the body is larger
   */
  async bytes(maxSize = 32 * 2 ** 20): Promise<Buffer> {
    if (this.size > maxSize) {
      throw new MilterError(
        'ERR_MILTER_MIME_LIMIT',
        `the body has ${this.size} bytes, more than the ${maxSize} that may be read at once`,
      );
    }
    const pieces: Buffer[] = [];
    for await (const piece of this) pieces.push(piece);
    return Buffer.concat(pieces);
  }
}

/** @internal The pieces of a new body. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export async function* piecesOf(source: BodySource): AsyncGenerator<Uint8Array> {
  if (typeof source === 'string') {
    yield encodeBytes(source);
  } else if (types.isUint8Array(source)) {
    yield source;
  } else {
    for await (const piece of source) {
      if (!types.isUint8Array(piece)) throw badArgument('body: a stream must give bytes: set no encoding');
      yield piece;
    }
  }
}

/** @internal Refuses what can be no body. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkBodySource(source: unknown): asserts source is BodySource {
  if (typeof source === 'string' || types.isUint8Array(source)) return;
  if (typeof (source as AsyncIterable<Uint8Array> | null)?.[Symbol.asyncIterator] === 'function') return;
  throw badArgument('body: a new body is a string, a Buffer or a stream of bytes');
}
