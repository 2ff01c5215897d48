/** Reloads a filter on SIGHUP: the thread that runs it first, then its workers, one reload at a time. */
import type { Exceptions } from '../session/exception-policy.js';
import { NO_SESSION } from '../session/observer.js';

/** Reads again what the filter was configured with. It may be called while handlers run. */
export type Reload = () => unknown;

/** What became of it. `nothing`: the filter has no reload. */
export type ReloadOutcome = 'reloaded' | 'nothing' | 'failed';

/** Calls a filter's reload, and reports its error. */
export async function callReload(reload: Reload | null, exceptions: Exceptions): Promise<ReloadOutcome> {
  if (!reload) return 'nothing';
  try {
    await reload();
    return 'reloaded';
  } catch (error) {
    exceptions.report(error, 'reload', NO_SESSION);
    return 'failed';
  }
}

/**
 * Runs reloads one after the other. The first failure ends them, because what is wrong with a configuration is wrong for
 * all: those that come after keep the same state as the one that has failed.
 */
export async function reloadInTurn(
  reloads: readonly (() => Promise<ReloadOutcome>)[],
): Promise<ReloadOutcome> {
  let all: ReloadOutcome = 'nothing';
  for (const reload of reloads) {
    const outcome = await reload();
    if (outcome === 'failed') return outcome;
    if (outcome === 'reloaded') all = outcome;
  }
  return all;
}

/** What a {@link HangupReloader} does. */
export interface ReloadSteps {
  readonly reload: () => Promise<ReloadOutcome>;
  /** Called before and after each reload. */
  readonly begun: () => void;
  readonly ended: (outcome: ReloadOutcome) => void;
}

/** Takes SIGHUP, which therefore no longer ends the process. */
export class HangupReloader {
  readonly #steps: ReloadSteps;
  readonly #onSignal = (): void => this.#request();
  #serving = false;
  #stopping = false;
  #running = false;
  /** A signal came for which no reload has begun. */
  #wanted = false;

  constructor(steps: ReloadSteps) {
    this.#steps = steps;
  }

  /** Takes the signal from now on; a reload waits until the filter serves. */
  listen(): void {
    process.on('SIGHUP', this.#onSignal);
  }

  serving(): void {
    this.#serving = !this.#stopping;
    if (this.#wanted) this.#request();
  }

  /** The signal has no effect from now on. */
  stopping(): void {
    this.#stopping = true;
    this.#serving = false;
  }

  /** Leaves the signal to others. */
  close(): void {
    this.stopping();
    process.off('SIGHUP', this.#onSignal);
  }

  #request(): void {
    this.#wanted = true;
    if (this.#serving && !this.#running) void this.#run();
  }

  /** Signals that come during a reload lead to one more, which sees what has changed meanwhile. */
  async #run(): Promise<void> {
    this.#running = true;
    while (this.#wanted && this.#serving) {
      this.#wanted = false;
      this.#steps.begun();
      const outcome = await this.#steps.reload();
      if (this.#serving) this.#steps.ended(outcome);
    }
    this.#running = false;
  }
}
