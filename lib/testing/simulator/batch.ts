/** Events of a session that are passed to its handlers together: the counterpart of native/bridge/batch.h. */
import { types } from 'node:util';
import { WITH_MACROS } from '../../addon/events.js';
import { encodeBytes } from '../../internal/bytes.js';

/** A batch is handed over when its text and body reach this many bytes. */
const MAX_BYTES = 256 * 1024;

export class Batch {
  /** For each event: the step, the number of arguments, the arguments. */
  readonly events: unknown[] = [];
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.events.length === 0;
  }

  get full(): boolean {
    return this.#bytes >= MAX_BYTES;
  }

  /** As later events of the message do on the native side, so that a test shows what a handler has kept by mistake. */
  overwriteChunks(): void {
    for (const chunk of this.#chunks) chunk.fill(0);
  }

  /** @param macros those of the event, if they are kept: see Events in lib/addon/events.ts */
  add(step: number, args: readonly unknown[], macros: string | null = null): void {
    if (macros === null) this.events.push(step, args.length, ...args);
    else this.events.push(step | WITH_MACROS, args.length + 1, macros, ...args);
    for (const arg of args) {
      if (typeof arg === 'string') this.#bytes += encodeBytes(arg).length;
      else if (types.isUint8Array(arg)) {
        this.#chunks.push(arg);
        this.#bytes += arg.length;
      }
    }
  }
}
