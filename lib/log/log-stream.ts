/** Writes the lines of the log to stderr, without making the event loop wait. */
import { fstatSync } from 'node:fs';
import SonicBoom from 'sonic-boom';

/** Bytes that are collected before they are written, and milliseconds after which they are written in any case. */
const BATCH_BYTES = 8192;
const FLUSH_INTERVAL = 100;
/** Characters that wait at most while nothing reads stderr; lines beyond are lost, and counted. */
const MAX_WAITING = 4 * 2 ** 20;
/** Milliseconds that the end of the filter waits for the last lines to be read. */
const END_TIMEOUT = 1_000;

/** Attempts to write to a descriptor that does not block and is full, 100 ms apart, before an error is taken to be one. */
const MAX_RETRIES = 20;

const STDERR = 2;

const OPTIONS = {
  fd: STDERR,
  sync: false,
  minLength: BATCH_BYTES,
  maxLength: MAX_WAITING,
  maxWriteRetries: MAX_RETRIES, // which its types lack
};

/** Whether stderr is connected to systemd's journal (systemd.exec(5), $JOURNAL_STREAM). */
export function isJournal(stream = process.env.JOURNAL_STREAM): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

export class LogStream {
  readonly #lostLines: (count: number) => string;
  #opened: SonicBoom | null = null;
  #lost = 0;
  #timer: NodeJS.Timeout | null = null;
  /** Whether lines may have come while earlier ones were being written. */
  #mayBeBehind = false;
  /** Whether the last attempt to write everything has not ended. */
  #stalled = false;

  /** @param lostLines makes the line that tells how many are missing */
  constructor(lostLines: (count: number) => string) {
    this.#lostLines = lostLines;
  }

  /** @param urgent whether the line should not wait for others */
  write(lines: string, urgent: boolean): void {
    // The first write makes libuv create its threads. Later the system may have none left, and libuv would abort the process.
    const first = this.#opened === null;
    this.#stream.write(lines);
    if (urgent || first) this.#writeAll();
    else this.#timer ??= setTimeout(this.#onTimer, FLUSH_INTERVAL).unref();
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#writeAll();
  };

  /** Without sonic-boom's callback, for which it would call fsync(2): every time, on a log in a file. */
  #writeAll(): void {
    this.#mayBeBehind = true;
    this.#stream.flush();
  }

  /** Resolves when all has been written, or nothing reads it. */
  async flush(): Promise<void> {
    if (!this.#opened) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, END_TIMEOUT);
      this.#stream.flush(() => {
        this.#stalled = false;
        resolve();
      });
      this.#stalled = true;
    });
    clearTimeout(timer);
  }

  /** Opened for the first line, so that a start which is refused leaves nothing behind. */
  get #stream(): SonicBoom {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  #open(): SonicBoom {
    const stream = new SonicBoom(OPTIONS);
    stream.on('error', () => {}); // EPIPE: the reader has closed its end
    stream.on('drop', () => this.#lost++);
    stream.on('drain', () => {
      const [lost, mayBeBehind] = [this.#lost, this.#mayBeBehind];
      this.#lost = 0;
      this.#mayBeBehind = false;
      if (lost > 0) this.write(this.#lostLines(lost), true);
      else if (mayBeBehind) stream.flush();
    });
    process.on('exit', () => {
      if (this.#stalled) return; // a pipe that is open but not read would keep the process from ending
      try {
        stream.flushSync();
      } catch {
        // its reader has gone
      }
    });
    return stream;
  }
}
