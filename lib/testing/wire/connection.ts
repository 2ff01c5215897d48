/** A connection to a filter: frames out, frames in, and who waits for them until when. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MilterError } from '../../internal/errors.js';
import { FrameReader, FrameWriter, type Text } from './frames.js';
import { showByte } from './protocol.js';
import type { SocketTarget } from './socket-spec.js';

/** Someone who waits for frames. */
export interface Expectation {
  /** What is awaited, to end the sentence `the filter closed the connection before ...`. */
  readonly what: string;
  /**
   * Takes the next frame; true where it was the last one awaited. Throws a MilterError if it must not come.
   */
  take(command: number, payload: Buffer): boolean;
  /** Learns that nothing will come. */
  fail(error: MilterError): void;
}

/**
 * From this much on, collected frames are written although no reply is awaited: one write of a body chunk.
 */
const CORK_BYTES = 64 * 1024;
/** Above this much unread by the filter, a step that needs no reply waits for the filter to read. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Frames nobody asked for are kept for readFrame; more than this many are a filter gone wild. */
const MAX_UNCLAIMED = 10_000;
/** Pause between attempts to connect. */
const RETRY_MS = 10;

/** EAGAIN is what connect() says where a unix socket's queue (20 with libmilter) is full. */
const BUSY = new Set(['EAGAIN']);
const ABSENT = new Set(['EAGAIN', 'ENOENT', 'ECONNREFUSED']);

/** Connects once, within `ms` milliseconds (0: no limit). */
function dial(target: SocketTarget, ms: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    const late = (): void => {
      socket.destroy();
      reject(
        new MilterError('ERR_MILTER_TIMEOUT', `the filter did not accept the connection within ${ms} ms`),
      );
    };
    const timer = ms > 0 ? setTimeout(late, ms) : undefined;
    const refused = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', refused);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', refused);
      // A step is one write; without this the next one would wait for the ACK of the last.
      if ('port' in target) socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

export class Connection {
  readonly #socket: Socket;
  readonly #timeout: number;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #expectations: Expectation[] = [];
  readonly #unclaimed: { command: number; payload: Buffer }[] = [];
  readonly #drains: { resolve: () => void; reject: (error: MilterError) => void }[] = [];
  readonly #closed: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #flushPlanned = false;
  #failure: MilterError | undefined;
  /** Called with the next frame that nobody awaits, which is dropped; see {@link dropEcho}. */
  #onEcho: (() => void) | undefined;

  /**
   * @param timeout - milliseconds that any wait may take, 0 for no limit
   * @param maxPayload - the largest payload to accept, in bytes
   */
  constructor(socket: Socket, timeout: number, maxPayload: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    this.#reader = new FrameReader(maxPayload, (command, payload) => this.#onFrame(command, payload));
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error) => this.fail(this.#closedError(error)));
    socket.on('close', () => this.fail(this.#closedError()));
    socket.on('drain', () => {
      for (const { resolve } of this.#drains.splice(0)) resolve();
    });
  }

  /**
   * Connects to a filter.
   *
   * A unix socket whose queue is full is tried again until the time is over, for a thousand sessions may
   * start at once; with `retry` also one that is not there yet.
   */
  static async open(
    target: SocketTarget,
    timeout: number,
    maxPayload: number,
    retry: boolean,
  ): Promise<Connection> {
    const end = timeout > 0 ? Date.now() + timeout : Number.POSITIVE_INFINITY;
    const again = retry ? ABSENT : BUSY;
    for (;;) {
      try {
        return new Connection(await dial(target, timeout), timeout, maxPayload);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? '';
        if (!again.has(code) || Date.now() >= end) throw error;
      }
      await sleep(RETRY_MS);
    }
  }

  /** Why nothing can be sent any more; undefined while the connection lives. */
  get failure(): MilterError | undefined {
    return this.#failure;
  }

  /** Whether someone waits for a frame. */
  get waiting(): boolean {
    return this.#expectations.length > 0;
  }

  set maxPayload(bytes: number) {
    this.#reader.maxPayload = bytes;
  }

  /**
   * Adds a frame to what leaves with the next write, which is at the latest the end of this turn of the loop.
   */
  add(command: number, parts: readonly Text[], terminated = true): void {
    this.#writer.add(command, parts, terminated);
    if (this.#writer.length >= CORK_BYTES) this.flush();
    else this.#planFlush();
  }

  /** Writes what was collected. */
  flush(): void {
    if (this.#writer.length > 0 && this.#failure === undefined) this.#socket.write(this.#writer.take());
  }

  /** Writes bytes as they are, after what was collected; resolves when the system has taken them. */
  write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.flush();
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(this.#closedError(error)) : resolve()));
    });
  }

  /** A wait for the filter to read, where too much is on its way; undefined where it is not. */
  drained(): Promise<void> | undefined {
    if (this.#socket.writableLength < HIGH_WATER_BYTES || this.#failure !== undefined) return undefined;
    return new Promise((resolve, reject) => {
      this.#drains.push({ resolve, reject });
      this.#arm();
    });
  }

  /** Writes what was collected and waits, after those who wait already. */
  expect(expectation: Expectation): void {
    if (this.#failure !== undefined) {
      expectation.fail(this.#failure);
      return;
    }
    const stray = this.#unclaimed[0];
    if (stray !== undefined) {
      const sentence = `the filter sent ${showByte(stray.command)} while no reply was due`;
      const error = new MilterError('ERR_MILTER_PROTOCOL', sentence);
      this.fail(error);
      expectation.fail(error);
      return;
    }
    this.flush();
    this.#onEcho = undefined;
    this.#expectations.push(expectation);
    if (this.#expectations.length === 1) this.#arm();
  }

  /** The next frame, whatever it is: one that came already, or else the next to come. */
  nextFrame(): Promise<{ command: number; payload: Buffer }> {
    const frame = this.#unclaimed.shift();
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

  /**
   * Waits up to `ms` milliseconds for one more frame and drops it; later still, until the next wait begins.
   *
   * libmilter answers twice where the handler of a body chunk that came with end of message does not say
   * CONTINUE (engine.c: st_bodyend sends the reply, mi_engine sends it again).
   */
  dropEcho(ms: number): Promise<void> {
    if (this.#unclaimed.shift() !== undefined || this.#failure !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onEcho = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Resolves when the connection is closed, whoever closed it. */
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

  /** Ends the connection: whoever waits gets this error, and so does whoever comes later. */
  fail(error: MilterError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#socket.destroy();
    for (const { reject } of this.#drains.splice(0)) reject(error);
    for (const expectation of this.#expectations.splice(0)) expectation.fail(error);
  }

  /** Hangs up at once. */
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
    const expectation = this.#expectations[0];
    if (expectation === undefined) {
      this.#onUnclaimed(command, payload);
      return;
    }
    if (expectation.take(command, payload)) this.#expectations.shift();
    if (this.#expectations.length > 0) this.#arm();
  }

  #onUnclaimed(command: number, payload: Buffer): void {
    if (this.#onEcho !== undefined) {
      this.#onEcho();
      this.#onEcho = undefined;
      return;
    }
    this.#unclaimed.push({ command, payload });
    if (this.#unclaimed.length <= MAX_UNCLAIMED) return;
    const sentence = `the filter sent more than ${MAX_UNCLAIMED} frames that nobody asked for`;
    this.fail(new MilterError('ERR_MILTER_PROTOCOL', sentence));
  }

  #onEnd(): void {
    this.fail(this.#closedError());
  }

  #closedError(cause?: Error): MilterError {
    const [expectation] = this.#expectations;
    const before = expectation === undefined ? '' : ` before it sent ${expectation.what}`;
    const torn = this.#reader.midFrame ? ', in the middle of a frame' : '';
    const why = cause === undefined ? '' : ` (${cause.message})`;
    const message = `the filter closed the connection${before}${torn}${why}`;
    return new MilterError('ERR_MILTER_CLOSED', message, cause === undefined ? undefined : { cause });
  }

  #timeoutError(what: string): MilterError {
    return new MilterError('ERR_MILTER_TIMEOUT', `the filter did not ${what} within ${this.#timeout} ms`);
  }

  /** Starts the time that the filter has for the next frame anew. One timer serves the whole session. */
  #arm(): void {
    if (this.#timeout === 0) return;
    if (this.#timer !== undefined) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#onTimeout(), this.#timeout).unref();
  }

  #onTimeout(): void {
    const [expectation] = this.#expectations;
    if (expectation !== undefined) this.fail(this.#timeoutError(`send ${expectation.what}`));
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
