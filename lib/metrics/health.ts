/**
 * Whether the filter is healthy, in memory that the thread of the HTTP server reads: it can answer also while the event loop of
 * the filter is blocked.
 */

const BEAT = 0;
const PHASE = 1;
const WORKERS = 2;
const BLOCKED = 3;
const SERVED = 4;
const WORDS = 5;

/** What the filter is doing. */
export const HealthPhase = { starting: 0, serving: 1, stopping: 2 } as const;
export type HealthPhase = (typeof HealthPhase)[keyof typeof HealthPhase];

/** Milliseconds between two signs of life of an event loop, and after which it counts as blocked. */
export const BEAT_INTERVAL = 500;
export const BLOCKED_AFTER = 5_000;

/** Milliseconds without any worker after which the filter counts as broken: a worker that dies is replaced within seconds. */
export const WORKERLESS_AFTER = 30_000;

/** In place of the number of workers where there are none. */
const SINGLE_THREAD = -1;

/** Milliseconds of a clock that all threads share, as a 32-bit number. */
export const sharedClock = (): number => Number(process.hrtime.bigint() / 1_000_000n) | 0;

/** Whether a sign of life is too old. @param after milliseconds */
export const isOld = (beat: number, after = BLOCKED_AFTER): boolean => ((sharedClock() - beat) | 0) > after;

/** What is wrong; empty for nothing. */
export interface Health {
  /** The filter needs a restart. */
  readonly broken: readonly string[];
  /** It takes no sessions at present. */
  readonly unready: readonly string[];
}

export class SharedHealth {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(memory = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#words = new Int32Array(memory);
  }

  /** The event loop runs. @param workers how many serve, and how many of them are blocked; null if there are none */
  beat(workers: { readonly serving: number; readonly blocked: number } | null): void {
    Atomics.store(this.#words, WORKERS, workers ? workers.serving : SINGLE_THREAD);
    Atomics.store(this.#words, BLOCKED, workers ? workers.blocked : 0);
    if (workers?.serving !== 0) Atomics.store(this.#words, SERVED, sharedClock());
    Atomics.store(this.#words, BEAT, sharedClock());
  }

  set phase(phase: HealthPhase) {
    Atomics.store(this.#words, PHASE, phase);
  }

  get health(): Health {
    const [beat, phase, workers, blocked, served] = [BEAT, PHASE, WORKERS, BLOCKED, SERVED].map((word) =>
      Atomics.load(this.#words, word),
    ) as [number, HealthPhase, number, number, number];
    const broken: string[] = [];
    const unready: string[] = [];
    if (isOld(beat)) broken.push(`the event loop has been blocked for more than ${BLOCKED_AFTER} ms`);
    if (phase === HealthPhase.serving && workers !== SINGLE_THREAD) {
      if (workers === 0)
        (isOld(served, WORKERLESS_AFTER) ? broken : unready).push('no worker takes sessions');
      else if (blocked >= workers) broken.push(`all ${workers} workers are blocked`);
    }
    if (phase === HealthPhase.starting) unready.push('the filter is starting');
    if (phase === HealthPhase.stopping)
      unready.push('the filter is stopping: sessions are finished, and none is accepted');
    return { broken, unready: [...broken, ...unready] };
  }
}
