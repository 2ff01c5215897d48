/** One of the pool's places for a worker: a worker that dies is replaced by another. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MilterError } from '../internal/errors.js';
import { isOld } from '../metrics/health.js';
import { SeriesSet, type Snapshot, withoutGauges } from '../metrics/series.js';
import type { ReloadOutcome } from '../runtime/reload.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import { RestartBackoff } from './restart-backoff.js';
import { Phase } from './shared-counters.js';
import type { WorkerThread } from './worker-thread.js';

export class WorkerSlot {
  readonly #createThread: () => WorkerThread;
  readonly #report: (error: MilterError) => void;
  readonly #onChange: () => void;
  readonly #backoff = new RestartBackoff();
  /** Aborted when no further worker shall be started. */
  readonly #ending = new AbortController();
  #thread: WorkerThread | null = null;
  /** Resolves when the slot is empty and stays so. */
  #supervised: Promise<void> = Promise.resolve();
  /** Contexts of the threads that have ended, all of which have ended with them. */
  #endedContexts = 0;
  /** Messages that these threads have counted. */
  #endedMessages = 0;
  /** Their metrics. */
  readonly #endedMetrics = new SeriesSet();

  /**
   * @param report called with the error of each worker that has died
   * @param onChange called when the slot's thread takes sessions, and when it has ended
   */
  constructor(createThread: () => WorkerThread, report: (error: MilterError) => void, onChange: () => void) {
    this.#createThread = createThread;
    this.#report = report;
    this.#onChange = onChange;
  }

  /** Contexts made in this slot's threads, and those that have ended. */
  get contexts(): [made: number, ended: number] {
    const { made = 0, ended = 0 } = this.#thread?.counters ?? {};
    return [this.#endedContexts + made, this.#endedContexts + ended];
  }

  /** Messages that have ended in this slot's threads. */
  get messages(): number {
    return this.#endedMessages + (this.#thread?.counters.messages ?? 0);
  }

  /** Whether its thread takes sessions, and whether its event loop runs. */
  get state(): 'serving' | 'blocked' | 'empty' {
    if (this.#thread?.counters.phase !== Phase.serving) return 'empty';
    return isOld(this.#thread.counters.beat) ? 'blocked' : 'serving';
  }

  /** The metrics of all its threads. */
  async collect(): Promise<Snapshot[]> {
    const { state } = this;
    const thread = this.#thread;
    const live = state === 'serving' ? await thread?.collect() : thread?.metrics;
    // A thread that has ended meanwhile is among the ended ones.
    return [this.#endedMetrics.snapshot(), ...(live && thread === this.#thread ? [live] : [])];
  }

  /**
   * Starts the first worker, which is replaced from the time when it takes sessions.
   * @throws MilterError ERR_MILTER_WORKER if it ends before, or cannot be started
   */
  async start(): Promise<void> {
    const thread = this.#startThread();
    if (await thread.serving) {
      this.#supervised = this.#supervise(thread);
      return;
    }
    this.#vacate(thread);
    const error = await thread.ended;
    if (error) throw error;
  }

  setPolicy(policy: ExceptionPolicy): void {
    this.#thread?.setPolicy(policy);
  }

  /** Reloads the filter in its thread. A slot that is empty at present gets a thread that begins with what is there then. */
  async reload(): Promise<ReloadOutcome> {
    return (await this.#thread?.reload()) ?? 'reloaded';
  }

  /** Waits for the last thread's end, once the filter has stopped. */
  async end(timeout: number): Promise<void> {
    this.#ending.abort();
    const thread = this.#thread;
    if (thread) {
      if (thread.counters.phase === Phase.loading) thread.terminate();
      else await thread.finish(timeout);
      await thread.ended;
    }
    await this.#supervised;
  }

  /** Ends the thread at once. */
  terminate(): void {
    this.#ending.abort();
    this.#thread?.terminate();
  }

  #startThread(): WorkerThread {
    const thread = this.#createThread();
    this.#thread = thread;
    void thread.serving.then((serves) => {
      if (serves) this.#onChange();
    });
    return thread;
  }

  #vacate(thread: WorkerThread): void {
    this.#endedContexts += thread.counters.made;
    this.#endedMessages += thread.counters.messages;
    this.#endedMetrics.merge(withoutGauges(thread.metrics));
    this.#thread = null;
    this.#onChange();
  }

  /** Replaces workers that die, until the filter stops. */
  async #supervise(first: WorkerThread): Promise<void> {
    for (let thread: WorkerThread | null = first; thread; ) {
      const error: MilterError | null = await thread.ended;
      const { servedFor } = thread;
      this.#vacate(thread);
      if (!error) return; // it has ended with the filter
      this.#report(error);
      thread = await this.#replace(servedFor);
    }
  }

  /** Starts the next worker, after a pause that grows each time when it cannot be started; null if the filter stops. */
  async #replace(servedFor: number): Promise<WorkerThread | null> {
    const { signal } = this.#ending;
    for (let served = servedFor; ; served = 0) {
      const slept = await sleep(this.#backoff.next(served), true, { signal }).catch(() => false);
      if (!slept) return null;
      try {
        return this.#startThread();
      } catch (error) {
        this.#report(error as MilterError);
      }
    }
  }
}
