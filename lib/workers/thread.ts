/** One worker thread from its start to its end, as the main thread sees it. */
import { join } from 'node:path';
import { inspect } from 'node:util';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { MilterError } from '../internal/errors.js';
import { STUCK_GRACE } from '../runtime/runtime.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import { Ledger, Phase } from './ledger.js';
import type { MainMessage, WorkerMessage, WorkerSettings, WorkerStart } from './messages.js';
import type { WorkerPlan } from './options.js';

/** So many heartbeats fit into the time after which a worker counts as stuck. */
const BEATS_TO_MISS = 4;

/** What an error says in one line. */
function lineOf(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  return `${error.name}: ${error.message}`.split('\n', 1)[0] as string;
}

export class WorkerThread {
  /** Resolves when the thread takes sessions; false where it has ended before. */
  readonly serving: Promise<boolean>;
  /** Resolves when the thread has ended: null where it was to, else ERR_MILTER_WORKER, which says why it did not. */
  readonly ended: Promise<MilterError | null>;
  readonly ledger = new Ledger();
  readonly #who: string;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  #servingSince = 0;
  #error: { cause: unknown } | undefined;
  /** Why the main thread has ended it: a sentence, or null where that was no fault of the worker's. */
  #dismissed: string | null | undefined;
  #finished = () => {};

  /** @param number the worker's number in messages */
  constructor(number: number, plan: WorkerPlan, settings: WorkerSettings) {
    this.#who = `worker ${number} (${plan.path})`;
    // After the native side has answered for the handler: a thread that is stuck for longer is of no use.
    const { handlerTimeout = 0 } = settings.options;
    const stuckAfter = handlerTimeout > 0 ? handlerTimeout + 2 * STUCK_GRACE : 0;
    const heartbeat = Math.ceil(stuckAfter / BEATS_TO_MISS);
    const { port1, port2 } = new MessageChannel();
    const start: WorkerStart = { settings, ledger: this.ledger.memory, heartbeat, port: port2 };
    this.#worker = new Worker(join(__dirname, 'worker.js'), {
      name: `tsmilter ${settings.name} ${number}`,
      workerData: start,
      transferList: [port2],
      resourceLimits: plan.resourceLimits,
    });
    this.#port = port1;
    let watch: NodeJS.Timeout | undefined;
    this.#worker.on('error', (cause) => {
      this.#error = { cause };
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        clearInterval(watch);
        port1.close();
        this.ledger.ended = this.ledger.made; // its contexts have ended with it
        resolve(this.#why(code));
      });
    });
    this.serving = new Promise((resolve) => {
      port1.on('message', ({ reached }: WorkerMessage) => {
        if (reached === 'finished') {
          this.#finished();
          return;
        }
        this.#servingSince = performance.now();
        if (heartbeat > 0) watch = setInterval(this.#watcher(stuckAfter), heartbeat).unref();
        resolve(true);
      });
      void this.ended.then(() => resolve(false));
    });
    port1.unref(); // the worker itself keeps the loop alive
  }

  /** Milliseconds that it has taken sessions. */
  get served(): number {
    return this.#servingSince === 0 ? 0 : performance.now() - this.#servingSince;
  }

  setPolicy(policy: ExceptionPolicy): void {
    const message: MainMessage = { policy };
    this.#port.postMessage(message);
  }

  /**
   * The filter has stopped: waits for the thread's end.
   * @param patience milliseconds for the close handlers, and once more for what the module still has at work
   */
  async finish(patience: number): Promise<void> {
    const late = () =>
      this.dismiss(
        `was still at work ${patience} ms after the filter had stopped, and was ended: close what its module has opened ` +
          "(timers, connections) in the module's export `stopped`",
      );
    // The close handlers' time is measured by the worker itself, where its event loop turns.
    let timer = setTimeout(late, patience + STUCK_GRACE);
    this.#finished = () => {
      clearTimeout(timer);
      timer = setTimeout(late, patience);
    };
    if (this.ledger.phase === Phase.finished) this.#finished();
    await this.ended;
    clearTimeout(timer);
  }

  /** Ends the thread at once. @param why what it has done wrong; null for nothing */
  dismiss(why: string | null = null): void {
    if (this.#dismissed !== undefined) return;
    this.#dismissed = why;
    void this.#worker.terminate();
  }

  #watcher(stuckAfter: number): () => void {
    let last = this.ledger.beats;
    let missed = 0;
    return () => {
      const { beats } = this.ledger;
      missed = beats === last ? missed + 1 : 0;
      last = beats;
      if (missed > BEATS_TO_MISS)
        this.dismiss(`did nothing but one handler for ${stuckAfter} ms, and was ended`);
    };
  }

  #why(code: number): MilterError | null {
    if (this.#dismissed === null) return null;
    if (this.#dismissed !== undefined) return this.#died(this.#dismissed);
    const { phase } = this.ledger;
    if (this.#error) {
      const { cause } = this.#error;
      const when = phase === Phase.loading ? 'ended while its module was loaded' : 'has ended';
      return this.#died(`${when}: ${lineOf(cause)}`, cause);
    }
    if (phase === Phase.finished) return null;
    const when = phase === Phase.loading ? 'while its module was loaded' : 'while it served';
    return this.#died(`exited with code ${code} ${when} (process.exit() in a worker ends that worker)`);
  }

  #died(what: string, cause?: unknown): MilterError {
    return new MilterError('ERR_MILTER_WORKER', `${this.#who} ${what}`, cause === undefined ? {} : { cause });
  }
}
