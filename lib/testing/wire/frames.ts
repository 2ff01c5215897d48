/**
 * Frames of the milter protocol: a 32-bit length in network order that counts the command byte and the
 * payload, the command byte, the payload (libmilter's comm.c: mi_rd_cmd, mi_wr_cmd).
 */
import { encodeBytes } from '../../internal/bytes.js';
import { MilterError } from '../../internal/errors.js';

/**
 * Text for the wire: a string is sent as UTF-8, U+DC80..U+DCFF as the bytes 0x80..0xFF; bytes go as they are.
 */
export type Text = string | Uint8Array;

const LENGTH_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + 1;

/** A text as bytes on the wire. */
export function bytesOf(text: Text): Uint8Array {
  return typeof text === 'string' ? encodeBytes(text) : text;
}

/**
 * Cuts a stream of bytes into frames. Payloads are views of the chunks that came in, copied only
 * when a frame is spread over several chunks.
 */
export class FrameReader {
  /** The largest payload in bytes; a frame that announces more is a protocol error. */
  maxPayload: number;
  readonly #onFrame: (command: number, payload: Buffer) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Bytes of a partial frame that must have arrived before it is worth looking at again. */
  #needed = LENGTH_BYTES;

  constructor(maxPayload: number, onFrame: (command: number, payload: Buffer) => void) {
    this.maxPayload = maxPayload;
    this.#onFrame = onFrame;
  }

  /** Whether the last frame is incomplete. */
  get midFrame(): boolean {
    return this.#partialBytes > 0;
  }

  /** Takes the next bytes and passes on every frame that they complete. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#partialBytes > 0) {
      this.#partial.push(chunk);
      this.#partialBytes += chunk.length;
      if (this.#partialBytes < this.#needed) return;
      bytes = Buffer.concat(this.#partial, this.#partialBytes);
      this.#partial = [];
      this.#partialBytes = 0;
    }
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length === 0) {
        throw new MilterError('ERR_MILTER_PROTOCOL', 'the filter sent a frame of length 0');
      }
      if (length - 1 > this.maxPayload) {
        throw new MilterError(
          'ERR_MILTER_PROTOCOL',
          `the filter announced a frame of ${length - 1} bytes, more than the limit of ${this.maxPayload}`,
        );
      }
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) break;
      this.#onFrame(bytes[at + LENGTH_BYTES] as number, bytes.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    if (at === bytes.length) return;
    const rest = bytes.subarray(at);
    this.#partial.push(rest);
    this.#partialBytes = rest.length;
    this.#needed = rest.length < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + rest.readUInt32BE(0);
  }
}

/** Collects frames so that several leave in one write. */
export class FrameWriter {
  #buffer = Buffer.alloc(0);
  #used = 0;

  /** Bytes collected since the last {@link take}. */
  get length(): number {
    return this.#used;
  }

  /** Adds a frame whose payload is `parts`, one after the other, each followed by a NUL if `terminated`. */
  add(command: number, parts: readonly Text[], terminated: boolean): void {
    const pieces = parts.map(bytesOf);
    let payload = 0;
    for (const piece of pieces) payload += piece.length + (terminated ? 1 : 0);
    this.#reserve(HEAD_BYTES + payload);
    const buffer = this.#buffer;
    let at = buffer.writeUInt32BE(payload + 1, this.#used);
    buffer[at++] = command;
    for (const piece of pieces) {
      buffer.set(piece, at);
      at += piece.length;
      if (terminated) buffer[at++] = 0;
    }
    this.#used = at;
  }

  /** The collected bytes, which from now on belong to the caller. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#used);
    // The socket may still hold these bytes, so the next frames go behind them.
    this.#buffer = this.#buffer.subarray(this.#used);
    this.#used = 0;
    return taken;
  }

  #reserve(bytes: number): void {
    const wanted = this.#used + bytes;
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(4096, wanted, this.#used * 2));
    this.#buffer.copy(grown, 0, 0, this.#used);
    this.#buffer = grown;
  }
}

/** A frame with this payload, as it is. */
export function encodeFrame(command: number, payload: Text): Buffer {
  const writer = new FrameWriter();
  writer.add(command, [payload], false);
  return writer.take();
}
