/** A connection to a filter: frames out, frames in, and the time limit of each wait. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MilterError } from '../../internal/errors.js';
import { FrameReader, FrameWriter, type Text } from './frames.js';
import { type Expectation, type Frame, ReplyQueue } from './reply-queue.js';

/** Collected frames are written from this size on, even if no reply is expected: one write for each body chunk. */
const CORK_BYTES = 64 * 1024;
/** Above this much unread by the filter, a step that needs no reply waits for the filter to read. */
const HIGH_WATER_BYTES = 1024 * 1024;

export class Connection {
  readonly #socket: Socket;
  readonly #timeout: number;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #replies = new ReplyQueue();
  readonly #drains: { resolve: () => void; reject: (error: MilterError) => void }[] = [];
  readonly #closed: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #flushPlanned = false;
  #failure: MilterError | undefined;

  /**
   * @param socket - connected
   * @param timeout - milliseconds that any wait may take, 0 for no limit
   * @param maxPayload - the largest payload to accept, in bytes
   */
  constructor(socket: Socket, timeout: number, maxPayload: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    this.#reader = new FrameReader(maxPayload, (command, payload) => this.#onFrame(command, payload));
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.fail(this.#closedError()));
    socket.on('error', (error) => this.fail(this.#closedError(error)));
    socket.on('close', () => this.fail(this.#closedError()));
    socket.on('drain', () => {
      for (const { resolve } of this.#drains.splice(0)) resolve();
    });
  }

  /** Why the connection ended; undefined while it is open. */
  get failure(): MilterError | undefined {
    return this.#failure;
  }

  /** Whether a frame is expected. */
  get waiting(): boolean {
    return this.#replies.next !== undefined;
  }

  set maxPayload(bytes: number) {
    this.#reader.maxPayload = bytes;
  }

  // --- out

  /** Adds a frame to the next write, which happens at the end of this turn of the event loop at the latest. */
  add(command: number, parts: readonly Text[], terminated = true): void {
    this.#writer.add(command, parts, terminated);
    if (this.#writer.length >= CORK_BYTES) this.flush();
    else this.#planFlush();
  }

  /** Writes the collected frames. */
  flush(): void {
    if (this.#writer.length > 0 && this.#failure === undefined) this.#socket.write(this.#writer.take());
  }

  /** Writes bytes as they are, after the collected frames; resolves when the kernel has taken them. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.flush();
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(this.#closedError(error)) : resolve()));
    });
  }

  /** A wait until the filter has read what it was sent; undefined while little is on its way. */
  drained(): Promise<void> | undefined {
    if (this.#socket.writableLength < HIGH_WATER_BYTES || this.#failure !== undefined) return undefined;
    return new Promise((resolve, reject) => {
      this.#drains.push({ resolve, reject });
      this.#restartTimer();
    });
  }

  // --- in

  /** Writes the collected frames and waits for a reply, after the replies that are expected already. */
  expect(expectation: Expectation): void {
    if (this.#failure !== undefined) {
      expectation.fail(this.#failure);
      return;
    }
    const first = !this.waiting;
    try {
      this.#replies.add(expectation);
    } catch (error) {
      this.fail(error as MilterError);
      expectation.fail(error as MilterError);
      return;
    }
    this.flush();
    if (first) this.#restartTimer();
  }

  /** The next frame, whatever it is: one that has come already, or else the next to come. */
  nextFrame(): Promise<Frame> {
    const frame = this.#replies.takeUnclaimed();
    if (frame !== undefined) return Promise.resolve(frame);
    return new Promise((resolve, reject) => {
      this.expect({
        what: 'a frame',
        take: (command, payload) => {
          resolve({ command, payload });
          return true;
        },
        fail: reject,
      });
    });
  }

  /** Drops libmilter's second reply to a step; see ReplyQueue. */
  dropEcho(ms: number): Promise<void> {
    return this.#failure === undefined ? this.#replies.dropEcho(ms) : Promise.resolve();
  }

  // --- the end

  /** Resolves when the connection is closed, whichever side closed it. */
  async closed(): Promise<void> {
    if (this.#timeout === 0) return this.#closed;
    const abort = new AbortController();
    const late = sleep(this.#timeout, 'late', { signal: abort.signal }).catch(() => undefined);
    const winner = await Promise.race([this.#closed, late]);
    abort.abort();
    if (winner !== 'late') return;
    const error = this.#timeoutError('close the connection');
    this.fail(error);
    throw error;
  }

  /** Ends the connection: every wait fails with this error, present ones and later ones. */
  fail(error: MilterError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#socket.destroy();
    for (const { reject } of this.#drains.splice(0)) reject(error);
    this.#replies.fail(error);
  }

  /** Hangs up immediately. */
  destroy(): void {
    this.fail(new MilterError('ERR_MILTER_CLOSED', 'the session was destroyed'));
  }

  #onData(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof MilterError)) throw error;
      this.fail(error);
    }
  }

  #onFrame(command: number, payload: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#replies.take({ command, payload });
    if (this.waiting) this.#restartTimer();
  }

  #closedError(cause?: Error): MilterError {
    const expected = this.#replies.next;
    const before = expected === undefined ? '' : ` before it sent ${expected.what}`;
    const cutOff = this.#reader.midFrame ? ', in the middle of a frame' : '';
    const reason = cause === undefined ? '' : ` (${cause.message})`;
    const message = `the filter closed the connection${before}${cutOff}${reason}`;
    return new MilterError('ERR_MILTER_CLOSED', message, cause === undefined ? undefined : { cause });
  }

  #timeoutError(what: string): MilterError {
    return new MilterError('ERR_MILTER_TIMEOUT', `the filter did not ${what} within ${this.#timeout} ms`);
  }

  /** Gives the filter the full time for the next frame. One timer serves the whole session. */
  #restartTimer(): void {
    if (this.#timeout === 0) return;
    if (this.#timer !== undefined) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#onTimeout(), this.#timeout).unref();
  }

  #onTimeout(): void {
    const expected = this.#replies.next;
    if (expected !== undefined) this.fail(this.#timeoutError(`send ${expected.what}`));
    else if (this.#drains.length > 0) this.fail(this.#timeoutError('read what it was sent'));
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setImmediate(() => {
      this.#flushPlanned = false;
      this.flush();
    });
  }
}
