/** The workers of a filter, as the thread that runs it sees them. */
import type { MilterError } from '../internal/errors.js';
import type { WorkerLogItem } from '../log/worker-log.js';
import type { Snapshot } from '../metrics/series.js';
import type { SessionHost } from '../runtime/filter-start.js';
import { type ReloadOutcome, reloadInTurn } from '../runtime/reload.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import type { WorkerSettings } from './messages.js';
import type { NormalisedWorkerOptions } from './options.js';
import { WorkerSlot } from './worker-slot.js';
import { WorkerThread } from './worker-thread.js';

export class WorkerPool implements SessionHost {
  readonly #slots: readonly WorkerSlot[];
  #settings: WorkerSettings;
  /** Called when a worker begins to take sessions, and when one has ended. */
  onChange = () => {};

  /**
   * @param report called with the error of each worker that has died
   * @param writeLog writes the entries of the workers' log
   */
  constructor(
    options: NormalisedWorkerOptions,
    settings: WorkerSettings,
    report: (error: MilterError) => void,
    writeLog: (items: readonly WorkerLogItem[]) => void = () => {},
  ) {
    this.#settings = settings;
    this.#slots = Array.from({ length: options.workers }, (_, index) => {
      const createThread = () => new WorkerThread(index + 1, options, this.#settings, writeLog);
      return new WorkerSlot(createThread, report, () => this.onChange());
    });
  }

  get contexts(): [made: number, ended: number] {
    let [allMade, allEnded] = [0, 0];
    for (const { contexts } of this.#slots) {
      allMade += contexts[0];
      allEnded += contexts[1];
    }
    return [allMade, allEnded];
  }

  /** Messages that have ended in all workers, including the dead; only if the settings say that they are counted. */
  get messages(): number {
    return this.#slots.reduce((sum, { messages }) => sum + messages, 0);
  }

  /** Workers that take sessions, and those of them whose event loops are blocked; only with metrics. */
  get serving(): number {
    return this.#slots.filter(({ state }) => state !== 'empty').length;
  }
  get blocked(): number {
    return this.#slots.filter(({ state }) => state === 'blocked').length;
  }

  /** The metrics of all workers, including the dead. */
  async collect(): Promise<Snapshot[]> {
    return (await Promise.all(this.#slots.map((slot) => slot.collect()))).flat();
  }

  /**
   * Starts the workers; resolves when all of them take sessions, or the start was cancelled.
   * @throws MilterError ERR_MILTER_WORKER if one of them ends before, or cannot be started
   */
  async start(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.start()));
  }

  cancel(): void {
    for (const slot of this.#slots) slot.terminate();
  }

  /** Changes the policy of the workers there are, and of those that replace them. */
  setPolicy(policy: ExceptionPolicy): void {
    this.#settings = { ...this.#settings, policy };
    for (const slot of this.#slots) slot.setPolicy(policy);
  }

  /** Reloads the filter in one worker after the other. */
  reload(): Promise<ReloadOutcome> {
    return reloadInTurn(this.#slots.map((slot) => () => slot.reload()));
  }

  /**
   * Waits for the workers' ends, once the filter has stopped.
   * @param timeout milliseconds for a worker's close handlers, and again for what its module still has to finish
   */
  async end(timeout: number): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.end(timeout)));
  }
}
