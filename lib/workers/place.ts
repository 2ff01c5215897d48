/** A worker's place in the crew: whoever dies in it is followed by another. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MilterError } from '../internal/errors.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import { Phase } from './ledger.js';
import { Pause } from './pause.js';
import type { WorkerThread } from './thread.js';

/** What a place is given by its crew. */
export interface PlaceOptions {
  /** Makes the place's next thread. */
  readonly begin: () => WorkerThread;
  /** Told of each worker that has died. */
  readonly report: (error: MilterError) => void;
}

export class Place {
  readonly #options: PlaceOptions;
  readonly #pause = new Pause();
  readonly #over = new AbortController();
  #thread: WorkerThread | null = null;
  /** Settled when the place is empty for good. */
  #kept: Promise<void> = Promise.resolve();
  #made = 0;

  constructor(options: PlaceOptions) {
    this.#options = options;
  }

  /** Contexts made in this place's threads, and those that have ended. */
  get contexts(): [made: number, ended: number] {
    const { made = 0, ended = 0 } = this.#thread?.ledger ?? {};
    return [this.#made + made, this.#made + ended];
  }

  /**
   * Starts the first worker, which is followed by others from when it serves.
   * @throws MilterError ERR_MILTER_WORKER where it ends before
   */
  async start(): Promise<void> {
    const thread = this.#begin();
    if (await thread.serving) {
      this.#kept = this.#keep(thread);
      return;
    }
    this.#leave(thread);
    const error = await thread.ended;
    if (error) throw error;
  }

  setPolicy(policy: ExceptionPolicy): void {
    this.#thread?.setPolicy(policy);
  }

  /** The filter has stopped: nobody follows any more. Resolves when the last thread has ended. */
  async end(patience: number): Promise<void> {
    this.#over.abort();
    const thread = this.#thread;
    if (thread) {
      if (thread.ledger.phase === Phase.loading) thread.dismiss();
      else await thread.finish(patience);
      await thread.ended;
    }
    await this.#kept;
  }

  /** Ends the thread at once. */
  dismiss(): void {
    this.#over.abort();
    this.#thread?.dismiss();
  }

  #begin(): WorkerThread {
    this.#thread = this.#options.begin();
    return this.#thread;
  }

  /** The thread has ended: its contexts are counted on. */
  #leave(thread: WorkerThread): void {
    this.#made += thread.ledger.made;
    this.#thread = null;
  }

  async #keep(first: WorkerThread): Promise<void> {
    const { signal } = this.#over;
    for (let thread = first; ; thread = this.#begin()) {
      const error = await thread.ended;
      const { served } = thread;
      this.#leave(thread);
      if (error) this.#options.report(error);
      else return; // it has ended with the filter
      if (signal.aborted) return;
      const goesOn = await sleep(this.#pause.after(served), true, { signal }).catch(() => false);
      if (!goesOn) return;
    }
  }
}
