/** The workers of a filter, for the thread that runs it. */
import type { MilterError } from '../internal/errors.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import type { WorkerSettings } from './messages.js';
import type { WorkerPlan } from './options.js';
import { Place } from './place.js';
import { WorkerThread } from './thread.js';

export class Crew {
  readonly #places: readonly Place[];
  #settings: WorkerSettings;
  #calledOff = false;

  /** @param report told of each worker that has died */
  constructor(plan: WorkerPlan, settings: WorkerSettings, report: (error: MilterError) => void) {
    this.#settings = settings;
    this.#places = Array.from({ length: plan.workers }, (_, index) => {
      return new Place({ begin: () => new WorkerThread(index + 1, plan, this.#settings), report });
    });
  }

  /** Contexts made by all workers, the dead ones too, and those that have ended. */
  get contexts(): [made: number, ended: number] {
    let [allMade, allEnded] = [0, 0];
    for (const { contexts } of this.#places) {
      allMade += contexts[0];
      allEnded += contexts[1];
    }
    return [allMade, allEnded];
  }

  /** callOff() was called. */
  get calledOff(): boolean {
    return this.#calledOff;
  }

  /**
   * Starts the workers; resolves when all take sessions, or they were called off.
   * @throws MilterError ERR_MILTER_WORKER where one of them ends before
   */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((place) => place.start()));
  }

  /** Ends the workers at once, also those that are being started. */
  callOff(): void {
    this.#calledOff = true;
    for (const place of this.#places) place.dismiss();
  }

  /** The policy that workers go on with; those to come begin with it. */
  setPolicy(policy: ExceptionPolicy): void {
    this.#settings = { ...this.#settings, policy };
    for (const place of this.#places) place.setPolicy(policy);
  }

  /**
   * The filter has stopped: resolves when all workers have ended.
   * @param patience milliseconds that a worker's close handlers get, and what its module still has at work
   */
  async end(patience: number): Promise<void> {
    await Promise.all(this.#places.map((place) => place.end(patience)));
  }
}
