/** Writes to an SQLite file that another process may have locked, without blocking the JS thread. */

interface Job {
  readonly run: () => void;
  readonly reject: (error: unknown) => void;
  /** In the time of performance.now(). */
  readonly deadline: number;
}

/** Milliseconds between attempts while the file is locked. */
const RETRY_MS = 10;
/** Writes per turn of the event loop once the file is free again. */
const WRITES_PER_TURN = 100;

/**
 * Runs writes at once, or, while another process has locked the file, as soon as it is free again. SQLite itself would wait on the
 * JS thread, and each write after the other would wait for the whole timeout; here all of them wait at the same time.
 */
export class WriteQueue {
  readonly #timeout: number;
  /** In the order in which they were requested, and so in the order of their deadlines. */
  readonly #waiting: Job[] = [];

  /** @param timeout milliseconds that a write may wait for the lock */
  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  /**
   * Runs a write.
   *
   * @param write is called again after it has thrown an error because the file was locked
   * @returns its result, or a rejection with its error; if the file stays locked, with the error of SQLite
   */
  run<T>(write: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const job = {
        run: () => resolve(write()),
        reject,
        deadline: performance.now() + this.#timeout,
      };
      if (this.#waiting.length > 0) this.#waiting.push(job);
      else if (attempt(job) !== undefined) {
        this.#waiting.push(job);
        this.#retryLater();
      }
    });
  }

  #retryLater(): void {
    setTimeout(() => this.#retry(), RETRY_MS);
  }

  #retry(): void {
    for (let left = WRITES_PER_TURN; left > 0; left--) {
      const [job] = this.#waiting;
      if (job === undefined) return;
      const busy = attempt(job);
      if (busy !== undefined) {
        this.#rejectOverdue(busy);
        if (this.#waiting.length > 0) this.#retryLater();
        return;
      }
      this.#waiting.shift();
    }
    if (this.#waiting.length > 0) setImmediate(() => this.#retry());
  }

  #rejectOverdue(busy: unknown): void {
    const now = performance.now();
    const inTime = this.#waiting.findIndex(({ deadline }) => deadline > now);
    const overdue = this.#waiting.splice(0, inTime < 0 ? this.#waiting.length : inTime);
    for (const { reject } of overdue) reject(busy);
  }
}

/** Runs a job. @returns the error if the file was locked, so that the job has to run again */
function attempt(job: Job): unknown {
  try {
    job.run();
  } catch (error) {
    if (isBusy(error)) return error;
    job.reject(error);
  }
  return undefined;
}

/** SQLITE_BUSY has variants such as SQLITE_BUSY_RECOVERY. */
function isBusy(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && code.startsWith('SQLITE_BUSY');
}
