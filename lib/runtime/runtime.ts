/**
 * libmilter as this thread uses it: its callbacks, its start and its stop. libmilter runs once in a process; each thread has a
 * Runtime of its own. The first one that begins to start a filter is the only one that may.
 */

import { StartResult } from '../addon/kinds.js';
import { native } from '../addon/native.js';
import { MilterError } from '../internal/errors.js';
import { withResolvers } from '../internal/with-resolvers.js';
import { noCallbacks } from '../session/callbacks.js';
import type { Observation } from '../session/dependencies.js';
import { type ContextCounts, Dispatcher } from '../session/dispatcher.js';
import { type ErrorHook, type ExceptionPolicy, Exceptions } from '../session/exception-policy.js';
import { currentFlags } from '../session/flags.js';
import { resolveActivatedSocket } from './activated-sockets.js';
import type { FilterStart, SessionHost, WorkerRole } from './filter-start.js';
import { holdLibmilter, type LibmilterHolder, releaseLibmilter } from './libmilter-holder.js';
import type { NormalisedMainOptions, NormalisedSocketOptions } from './options.js';
import { checkStartsAllowed } from './refused-starts.js';
import { alreadyRun, inUse, inWorker, startError, startRefused } from './start-errors.js';
import { onStopSignals } from './stop-signals.js';
import { reportUncaughtErrors } from './uncaught-errors.js';

/** Milliseconds beyond a handler's own limit after which the native side answers for a JS thread that is blocked. */
export const STUCK_GRACE = 1_000;
/** The native side's limit where handlers have none: about four years, in milliseconds. */
const NO_LIMIT = 2 ** 37;

/** A run from its start to its end. */
interface Run {
  readonly drainTimeout: number;
  /** Resolves when the run has ended, whatever its outcome; stop() waits for it. */
  readonly over: Promise<void>;
  /** What stop() has been called for: to end the run, and then to end it at once. */
  readonly asked: { stop: boolean; now: boolean };
}

/** What a run is made of. */
interface RunSteps {
  readonly workers: SessionHost | null;
  /** Done before libmilter's start, and before the workers'; without it, that comes at once. */
  readonly prepare?: () => Promise<void>;
  /** Hands the filter to libmilter; resolves when that has returned, to whether it failed. */
  readonly start: () => Promise<boolean>;
}

type State =
  | { readonly phase: 'idle' }
  /** libmilter knows the filter's name. */
  | { readonly phase: 'registered' }
  /** Its socket is open. */
  | { readonly phase: 'opened' }
  /** What comes before libmilter's start is done: metrics, workers. */
  | ({ readonly phase: 'starting'; readonly workers: SessionHost | null } & Run)
  /** libmilter serves, or is about to return. */
  | ({ readonly phase: 'running'; readonly workers: SessionHost | null } & Run)
  /** libmilter has returned, or was not started after all. */
  | ({ readonly phase: 'endingWorkers'; readonly workers: SessionHost } & Run)
  | { readonly phase: 'ended' }
  /** This thread is a worker that loads the filter's module. */
  | { readonly phase: 'worker'; readonly drainTimeout: number }
  /** This thread is a worker that takes sessions, or has done so. */
  | ({ readonly phase: 'serving' } & Run);

class Runtime implements LibmilterHolder {
  readonly callbacks = noCallbacks();
  readonly exceptions = new Exceptions();
  #state: State = { phase: 'idle' };
  #counts: ContextCounts = { made: 0, ended: 0 };
  #observation: Observation | undefined;
  #onStopping: (() => void) | undefined;

  // --- starting step by step

  /** libmilter: smfi_register. */
  register(name: string): void {
    this.#checkStartable();
    this.#register(name);
    if (this.#state.phase === 'idle') this.#state = { phase: 'registered' };
  }

  /** libmilter: smfi_setconn and smfi_opensocket. */
  openSocket(spec: string, options: NormalisedSocketOptions): void {
    this.#checkStartable();
    if (this.#state.phase === 'idle') {
      this.#release();
      throw new MilterError('ERR_MILTER_NOT_REGISTERED', 'register() comes before opening the socket');
    }
    this.#openSocket(spec, options);
    this.#state = { phase: 'opened' };
  }

  /** Serves sessions in this thread; resolves when libmilter has returned. libmilter: smfi_main. */
  main(options: NormalisedMainOptions): Promise<void> {
    return this.#run(options, () => ({ workers: null, start: () => this.#start(options, true, () => {}) }));
  }

  // --- or in one go

  /**
   * Runs a filter from its registration to its end.
   * @param begin called at once if nothing else runs or starts: gives the filter
   * @param onReady called when it serves
   */
  runFilter(options: NormalisedMainOptions, begin: () => FilterStart, onReady: () => void): Promise<void> {
    return this.#run(options, () => {
      const filter = begin();
      this.#observation = filter.observation;
      this.#onStopping = filter.onStopping;
      const { workers, prepare } = filter;
      return { workers, prepare, start: () => this.#startFilter(filter, options, onReady) };
    });
  }

  #startFilter(filter: FilterStart, options: NormalisedMainOptions, onReady: () => void): Promise<boolean> {
    const addon = native();
    this.#register(filter.name);
    Object.assign(this.callbacks, filter.callbacks);
    if (filter.backlog !== undefined) addon.setBacklog(filter.backlog);
    this.#openSocket(filter.socket, filter.socketOptions);
    // Only now, so that a start which is refused leaves nothing behind for the next one.
    if (filter.timeout !== undefined) addon.setTimeout(filter.timeout);
    if (filter.debug !== undefined) addon.setDebug(filter.debug);
    return this.#start(options, filter.workers === null, onReady);
  }

  // --- while it runs

  /**
   * Stops the filter; resolves when it has stopped, at once if none runs. libmilter: smfi_stop.
   * @param drainTimeout milliseconds that sessions in a message get to finish it. Default: the run's own
   */
  async stop(drainTimeout?: number): Promise<void> {
    const state = this.#state;
    switch (state.phase) {
      case 'starting':
        state.asked.stop = true;
        state.workers?.cancel();
        await state.over;
        break;
      case 'endingWorkers':
        if (drainTimeout === 0) state.workers.cancel();
        await state.over;
        break;
      case 'running':
      case 'serving':
        this.#onStopping?.();
        this.#onStopping = undefined;
        // libmilter may have ended in the workers already, whose end is still to be waited for.
        state.asked.now ||= state.asked.stop && drainTimeout === 0;
        state.asked.stop = true;
        native().stop(drainTimeout ?? state.drainTimeout);
        await state.over;
        break;
      case 'worker':
        native().stop(drainTimeout ?? state.drainTimeout);
        break;
    }
  }

  /** The TCP port that libmilter listens on, or 0. */
  get port(): number {
    return native().port();
  }

  setExceptionPolicy(policy: ExceptionPolicy): ExceptionPolicy {
    const old = this.exceptions.setPolicy(policy);
    const { phase } = this.#state;
    if (phase === 'running' || phase === 'serving') this.#sendPolicy();
    this.#workers?.setPolicy(policy);
    return old;
  }

  setErrorHook(hook: ErrorHook | null): ErrorHook | null {
    return this.exceptions.setHook(hook);
  }

  /** Contexts made and ended: those of the whole filter in the thread that runs it, the thread's own in a worker. */
  get contexts(): [made: number, ended: number] {
    const [made, ended] = this.#workers?.contexts ?? [0, 0];
    return [this.#counts.made + made, this.#counts.ended + ended];
  }

  // --- a worker's part

  /**
   * Makes this thread a worker: it starts no filter of its own.
   * @returns takes sessions of the filter; resolves when it has stopped and the close handlers are done
   */
  becomeWorker({ name, policy, options, counts }: WorkerRole): (observation?: Observation) => Promise<void> {
    const { drainTimeout } = options;
    this.exceptions.setName(name);
    this.exceptions.setPolicy(policy);
    this.#counts = counts;
    this.#state = { phase: 'worker', drainTimeout };
    holdLibmilter(this);
    return (observation) => {
      this.#observation = observation;
      const { promise, resolve } = withResolvers<boolean>();
      native().join(this.#dispatcher(options, () => {}, resolve).deliver);
      const over = promise.then(() => {});
      this.#state = { phase: 'serving', drainTimeout, over, asked: { stop: false, now: false } };
      this.#sendPolicy(); // the module may have changed it
      // Not before, because an error of the module's shall fail the start.
      if (options.uncaughtErrors === 'report') void over.then(reportUncaughtErrors(this.exceptions));
      return over;
    };
  }

  /** For other copies of the package. */
  get ended(): boolean {
    return this.#state.phase === 'ended';
  }

  // --- what a run is made of

  /**
   * One run from start to end, whatever happens in it.
   * @param begin called at once if nothing else runs or starts
   */
  async #run(
    { drainTimeout, signals, uncaughtErrors }: NormalisedMainOptions,
    begin: () => RunSteps,
  ): Promise<void> {
    this.#checkStartable();
    const before = this.#state;
    const { promise: over, resolve } = withResolvers<void>();
    const run: Run = { drainTimeout, over, asked: { stop: false, now: false } };
    let workers: SessionHost | null = null;
    let started = false;
    let ignoreSignals = () => {};
    let leaveErrors = () => {};
    try {
      const { prepare, start, ...steps } = begin();
      workers = steps.workers;
      if (prepare) {
        this.#state = { phase: 'starting', workers, ...run };
        await prepare();
        if (run.asked.stop) return;
        await workers?.start();
        if (run.asked.stop) return;
      }
      const returned = start();
      started = true;
      this.#state = { phase: 'running', workers, ...run };
      if (signals) ignoreSignals = onStopSignals((time) => void this.stop(time));
      if (uncaughtErrors === 'report') leaveErrors = reportUncaughtErrors(this.exceptions);
      if (await returned) {
        throw new MilterError('ERR_MILTER_MAIN', 'libmilter ended with a failure (see syslog)');
      }
    } finally {
      if (workers) {
        this.#state = { phase: 'endingWorkers', workers, ...run };
        if (!started || run.asked.now) workers.cancel();
        await workers.end(drainTimeout);
        const [made, ended] = workers.contexts;
        this.#counts.made += made;
        this.#counts.ended += ended;
      }
      ignoreSignals();
      leaveErrors();
      this.#state = started ? { phase: 'ended' } : before;
      if (!started) this.#observation = this.#onStopping = undefined;
      if (this.#state.phase === 'idle') this.#release(); // a start in one go leaves nothing behind
      resolve();
    }
  }

  #register(name: string): void {
    this.exceptions.setName(name);
    if (native().registerFilter(name, currentFlags())) return;
    throw new MilterError(
      'ERR_MILTER_MAIN',
      'libmilter refused the registration: it is out of memory, or of another version',
    );
  }

  #openSocket(spec: string, { removeSocket, mode, owner, group }: NormalisedSocketOptions): void {
    const failure = native().openSocket(resolveActivatedSocket(spec), removeSocket, mode, owner, group);
    if (failure) throw startError(...failure);
  }

  /**
   * Hands the filter to libmilter; resolves when that has returned, to whether it failed.
   * @param serves whether this thread takes sessions
   */
  #start(options: NormalisedMainOptions, serves: boolean, onReady: () => void): Promise<boolean> {
    const { handlerTimeout, maxBuffered } = options;
    const addon = native();
    this.#sendPolicy();
    addon.setMaxBuffered(maxBuffered);
    addon.setAnswerTimeout(handlerTimeout > 0 ? handlerTimeout + STUCK_GRACE : NO_LIMIT);
    const { promise, resolve } = withResolvers<boolean>();
    const result = addon.start(this.#dispatcher(options, onReady, resolve).deliver, serves);
    if (result !== StartResult.ready) throw startRefused(result);
    return promise;
  }

  #dispatcher(
    { handlerTimeout, progressInterval, immediate, drainTimeout }: NormalisedMainOptions,
    onReady: () => void,
    onStopped: (failed: boolean) => void,
  ): Dispatcher {
    const dependencies = {
      addon: native(),
      callbacks: this.callbacks,
      exceptions: this.exceptions,
      options: { handlerTimeout, progressInterval, immediate },
      ...(this.#observation ? { observation: this.#observation } : {}),
    };
    const counts = this.#counts;
    return new Dispatcher(dependencies, { counts, closeTimeout: drainTimeout, onReady, onStopped });
  }

  #sendPolicy(): void {
    native().setPolicy(this.exceptions.policy, ...this.exceptions.reply());
  }

  get #workers(): SessionHost | null {
    return 'workers' in this.#state ? this.#state.workers : null;
  }

  #checkStartable(): void {
    checkStartsAllowed();
    switch (this.#state.phase) {
      case 'worker':
      case 'serving':
        throw inWorker();
      case 'starting':
      case 'running':
      case 'endingWorkers':
        throw inUse();
    }
    // Another thread may have begun to start a filter; from here on, this one has.
    const result = native().claim();
    if (result !== StartResult.ready) throw startRefused(result);
    const holder = holdLibmilter(this);
    if (holder === this) return;
    this.#release();
    throw holder.ended ? alreadyRun() : inUse();
  }

  #release(): void {
    native().release();
    releaseLibmilter(this);
  }
}

export const runtime = new Runtime();
