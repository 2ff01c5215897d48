/** One worker thread from its start to its end, as the main thread sees it. */
import { join } from 'node:path';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { errorSummary } from '../internal/error-text.js';
import { MilterError } from '../internal/errors.js';
import type { WorkerLogItem } from '../log/worker-log.js';
import type { Snapshot } from '../metrics/series.js';
import type { ReloadOutcome } from '../runtime/reload.js';
import { STUCK_GRACE } from '../runtime/runtime.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import type { MainMessage, WorkerMessage, WorkerSettings, WorkerStart } from './messages.js';
import type { NormalisedWorkerOptions } from './options.js';
import { Phase, SharedCounters } from './shared-counters.js';

/** Heartbeats that a worker may miss before it counts as stuck. */
const MISSED_HEARTBEATS = 4;

/** Milliseconds that a terminated worker gets to end: terminating interrupts JavaScript, but no native code that it has called. */
const TERMINATION_TIMEOUT = 5_000;

/** Milliseconds to wait for a worker's metrics. */
const COLLECT_TIMEOUT = 1_000;

/** The longest delay of a timer; a longer one would be over at once. */
const MAX_DELAY = 2 ** 31 - 1;

export class WorkerThread {
  /** Resolves when the thread takes sessions; to false if it has ended before. */
  readonly serving: Promise<boolean>;
  /**
   * Resolves when the thread has ended, or was terminated and does not end: to null if that was as it should be, otherwise to an
   * ERR_MILTER_WORKER with the reason.
   */
  readonly ended: Promise<MilterError | null>;
  readonly counters = new SharedCounters();
  readonly #label: string;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  /** The metrics that it has sent last. */
  metrics: Snapshot = {};
  #onMetrics = () => {};
  #collecting: Promise<Snapshot> | null = null;
  #servingSince = 0;
  /** What the answers to requests for a reload are for, in their order. */
  readonly #reloads: ((outcome: ReloadOutcome) => void)[] = [];
  /** What the thread threw, in an object because it may be undefined. */
  #error: { cause: unknown } | undefined;
  /** Why the main thread has terminated it: what it did wrong, or null for nothing. */
  #terminated: string | null | undefined;
  #onFinished = () => {};
  /** Resolves `ended` for a thread that does not end. */
  #onGivenUp = () => {};
  #terminating: NodeJS.Timeout | undefined;

  /**
   * @param number the worker's number in messages
   * @param writeLog writes the entries of the worker's log
   * @throws MilterError ERR_MILTER_WORKER if the system has no thread, memory or descriptor left for it
   */
  constructor(
    number: number,
    options: NormalisedWorkerOptions,
    settings: WorkerSettings,
    writeLog: (items: readonly WorkerLogItem[]) => void,
  ) {
    // The native side answers for a blocked handler after one grace period; one more, and the thread is given up.
    const { handlerTimeout } = settings.options;
    const stuckAfter = handlerTimeout > 0 ? handlerTimeout + 2 * STUCK_GRACE : 0;
    const heartbeat = Math.ceil(stuckAfter / MISSED_HEARTBEATS);
    const { port1, port2 } = new MessageChannel();
    const start: WorkerStart = { settings, counters: this.counters.memory, heartbeat, port: port2 };
    try {
      this.#worker = new Worker(join(__dirname, 'worker.js'), {
        name: `tsmilter ${settings.name} ${number}`,
        workerData: start,
        transferList: [port2],
        resourceLimits: options.resourceLimits,
      });
    } catch (cause) {
      port1.close();
      throw new MilterError(
        'ERR_MILTER_WORKER',
        `worker ${number} (${options.path}) could not be started: ${errorSummary(cause)}`,
        { cause },
      );
    }
    // The thread's number is the one that sessions have in the log.
    this.#label = `worker ${number} (thread ${this.#worker.threadId}, ${options.path})`;
    this.#port = port1;
    let watchdog: NodeJS.Timeout | undefined;
    this.#worker.on('error', (cause) => {
      this.#error = { cause };
    });
    this.ended = new Promise((resolve) => {
      this.#onGivenUp = () =>
        resolve(
          this.#errorOf(
            `does not end although it was terminated ${TERMINATION_TIMEOUT} ms ago: native code that its module has called still ` +
              'runs, and the process cannot end before',
          ),
        );
      this.#worker.once('exit', (code) => {
        clearInterval(watchdog);
        clearTimeout(this.#terminating);
        this.counters.ended = this.counters.made; // its contexts have ended with it
        resolve(this.#failure(code));
        for (let left = receiveMessageOnPort(port1); left; left = receiveMessageOnPort(port1)) {
          if ('log' in left.message) writeLog(left.message.log);
          if ('metrics' in left.message) this.metrics = left.message.metrics;
        }
        port1.close();
      });
    });
    this.serving = new Promise((resolve) => {
      port1.on('message', (message: WorkerMessage) => {
        if ('log' in message) {
          writeLog(message.log);
          this.#post({ written: message.log.length });
          return;
        }
        if ('metrics' in message) {
          this.metrics = message.metrics;
          this.#onMetrics();
          return;
        }
        if ('reload' in message) {
          this.#reloads.shift()?.(message.reload);
          return;
        }
        if (message.reached === 'finished') {
          this.#onFinished();
          return;
        }
        this.#servingSince = performance.now();
        if (heartbeat > 0) watchdog = setInterval(this.#createWatchdog(stuckAfter), heartbeat).unref();
        resolve(true);
      });
      void this.ended.then(() => resolve(false));
    });
    port1.unref(); // the worker itself keeps the event loop alive
  }

  /** Milliseconds for which it has taken sessions. */
  get servedFor(): number {
    return this.#servingSince === 0 ? 0 : performance.now() - this.#servingSince;
  }

  setPolicy(policy: ExceptionPolicy): void {
    this.#post({ policy });
  }

  /** Its metrics now, or those that it has sent last if it does not answer. */
  collect(): Promise<Snapshot> {
    this.#collecting ??= this.#collect().finally(() => {
      this.#collecting = null;
    });
    return this.#collecting;
  }

  async #collect(): Promise<Snapshot> {
    let timer: NodeJS.Timeout | undefined;
    const sent = new Promise<void>((resolve) => {
      this.#onMetrics = resolve;
      timer = setTimeout(resolve, COLLECT_TIMEOUT);
    });
    this.#post({ collect: true });
    await Promise.race([sent, this.ended]);
    clearTimeout(timer);
    return this.metrics;
  }

  /**
   * Reloads the filter in this thread. A thread that ends meanwhile counts as reloaded, because the next one begins with what is
   * there now. One that loads its module reloads when it serves, and is not waited for.
   */
  reload(): Promise<ReloadOutcome> {
    const answered = new Promise<ReloadOutcome>((resolve) => this.#reloads.push(resolve));
    this.#post({ reload: true });
    if (this.counters.phase === Phase.loading) return Promise.resolve('reloaded');
    return Promise.race([answered, this.ended.then((): ReloadOutcome => 'reloaded')]);
  }

  #post(message: MainMessage): void {
    this.#port.postMessage(message);
  }

  /**
   * Waits for the thread's end, once the filter has stopped.
   * @param timeout milliseconds for the close handlers, and again for what the module still has to finish
   */
  async finish(timeout: number): Promise<void> {
    const terminate = () =>
      this.terminate(
        `was still running ${timeout} ms after the filter had stopped, and was terminated: close what its module has opened ` +
          "(timers, connections) in the module's export `stopped`",
      );
    // The worker measures the close handlers' time itself, unless its event loop is blocked.
    let timer = setTimeout(terminate, Math.min(timeout + STUCK_GRACE, MAX_DELAY));
    this.#onFinished = () => {
      clearTimeout(timer);
      timer = setTimeout(terminate, timeout);
    };
    if (this.counters.phase === Phase.finished) this.#onFinished();
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the thread at once. @param why what it has done wrong; null for nothing */
  terminate(why: string | null = null): void {
    if (this.#terminated !== undefined) return;
    this.#terminated = why;
    void this.#worker.terminate();
    this.#terminating = setTimeout(this.#onGivenUp, TERMINATION_TIMEOUT);
  }

  /** Returns a function that terminates the thread when it is called often enough without a heartbeat in between. */
  #createWatchdog(stuckAfter: number): () => void {
    let last = this.counters.heartbeats;
    let missed = 0;
    return () => {
      const { heartbeats } = this.counters;
      missed = heartbeats === last ? missed + 1 : 0;
      last = heartbeats;
      if (missed > MISSED_HEARTBEATS)
        this.terminate(`was blocked by one handler for ${stuckAfter} ms, and was terminated`);
    };
  }

  /** Why the thread has ended, if it should not have. */
  #failure(exitCode: number): MilterError | null {
    if (this.#terminated === null) return null;
    if (this.#terminated !== undefined) return this.#errorOf(this.#terminated);
    const { phase } = this.counters;
    if (this.#error) {
      const { cause } = this.#error;
      const when = phase === Phase.loading ? 'ended while its module was loaded' : 'has ended';
      return this.#errorOf(`${when}: ${errorSummary(cause)}`, cause);
    }
    if (phase === Phase.finished) return null;
    const when = phase === Phase.loading ? 'while its module was loaded' : 'while it took sessions';
    return this.#errorOf(
      `exited with code ${exitCode} ${when} (process.exit() in a worker ends that worker only)`,
    );
  }

  #errorOf(what: string, cause?: unknown): MilterError {
    return new MilterError(
      'ERR_MILTER_WORKER',
      `${this.#label} ${what}`,
      cause === undefined ? {} : { cause },
    );
  }
}
