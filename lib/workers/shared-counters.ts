/**
 * What a worker writes and the main thread reads. It is shared memory rather than messages, so that it can be read at any
 * time, even while the worker's event loop is blocked.
 */
import type { ContextCounts } from '../session/dispatcher.js';

/** What a worker is doing. */
export const Phase = {
  /** Its module is being loaded. */
  loading: 0,
  /** It takes sessions. */
  serving: 1,
  /** The filter has stopped, and the close handlers are done. */
  finished: 2,
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

const MADE = 0;
const ENDED = 1;
const HEARTBEATS = 2;
const PHASE = 3;
const BEAT = 4;
const MESSAGES = 5;
const WORDS = 6;

/** One worker's counts, heartbeats and phase. Only the worker writes them while it lives. */
export class SharedCounters implements ContextCounts {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  get made(): number {
    return this.#get(MADE);
  }
  set made(count: number) {
    this.#set(MADE, count);
  }

  get ended(): number {
    return this.#get(ENDED);
  }
  set ended(count: number) {
    this.#set(ENDED, count);
  }

  /** Grows as long as the worker's event loop runs. */
  get heartbeats(): number {
    return this.#get(HEARTBEATS);
  }
  heartbeat(): void {
    Atomics.add(this.#words, HEARTBEATS, 1);
  }

  /** When the event loop has run last, by the clock of lib/metrics/health.ts; only with metrics. */
  get beat(): number {
    return Atomics.load(this.#words, BEAT);
  }
  set beat(time: number) {
    this.#set(BEAT, time);
  }

  /** Messages that have ended; only if they are counted. */
  get messages(): number {
    return this.#get(MESSAGES);
  }
  countMessage(): void {
    Atomics.add(this.#words, MESSAGES, 1);
  }

  get phase(): Phase {
    return this.#get(PHASE) as Phase;
  }
  set phase(phase: Phase) {
    this.#set(PHASE, phase);
  }

  #get(word: number): number {
    return Atomics.load(this.#words, word) >>> 0;
  }

  #set(word: number, value: number): void {
    Atomics.store(this.#words, word, value);
  }
}
