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

/** The bytes of a text as they stand on the wire. */
export function bytesOf(text: Text): Uint8Array {
  return typeof text === 'string' ? encodeBytes(text) : text;
}

/**
 * Cuts a stream of bytes into frames. Payloads are views of the chunks that came in, copied only when torn.
 */
export class FrameReader {
  /** The largest payload in bytes; a frame that announces more is a protocol error. */
  maxPayload: number;
  readonly #onFrame: (command: number, payload: Buffer) => void;
  #torn: Buffer[] = [];
  #tornBytes = 0;
  /** Bytes that must be there before looking again is of use. */
  #needed = LENGTH_BYTES;

  constructor(maxPayload: number, onFrame: (command: number, payload: Buffer) => void) {
    this.maxPayload = maxPayload;
    this.#onFrame = onFrame;
  }

  /** Whether the stream stands inside a frame. */
  get midFrame(): boolean {
    return this.#tornBytes > 0;
  }

  /** Takes the next bytes and hands on every frame that is complete with them. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#tornBytes > 0) {
      this.#torn.push(chunk);
      this.#tornBytes += chunk.length;
      if (this.#tornBytes < this.#needed) return;
      bytes = Buffer.concat(this.#torn, this.#tornBytes);
      this.#torn = [];
      this.#tornBytes = 0;
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
    this.#torn.push(rest);
    this.#tornBytes = rest.length;
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
    // What follows must not overwrite bytes that the socket may still hold: go on behind them.
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
