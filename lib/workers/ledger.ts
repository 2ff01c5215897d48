/** What a worker writes and the main thread reads at any time, also when one of them does not come to its messages. */
import type { Diagnosis } from '../session/dispatcher.js';

/** How far a worker has come. */
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
const BEATS = 2;
const PHASE = 3;
const WORDS = 4;

/** One worker's counts and its heartbeat, in memory that it shares with the main thread. One thread writes each word. */
export class Ledger implements Diagnosis {
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

  /** Changes as long as the worker's event loop turns. */
  get beats(): number {
    return this.#get(BEATS);
  }
  beat(): void {
    Atomics.add(this.#words, BEATS, 1);
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
