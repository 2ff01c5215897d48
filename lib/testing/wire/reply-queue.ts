/** Who waits for the frames of a filter, in order, and the frames that no call waits for. */
import { MilterError } from '../../internal/errors.js';
import { showByte } from './protocol.js';

/** A frame from the filter. */
export interface Frame {
  readonly command: number;
  readonly payload: Buffer;
}

/** A wait for one or more frames. */
export interface Expectation {
  /** What is expected, to complete the sentence `the filter closed the connection before it sent ...`. */
  readonly what: string;
  /** Takes the next frame; returns true for the last one expected. Throws a MilterError for a frame that must not come. */
  take(command: number, payload: Buffer): boolean;
  /** Called if the connection ends before the last frame. */
  fail(error: MilterError): void;
}

/** Unexpected frames are kept for readFrame; a filter that sends more than this many is broken. */
const MAX_UNCLAIMED = 10_000;

function protocolError(message: string): MilterError {
  return new MilterError('ERR_MILTER_PROTOCOL', message);
}

export class ReplyQueue {
  readonly #expectations: Expectation[] = [];
  readonly #unclaimed: Frame[] = [];
  /** Called for the next unexpected frame, which is then dropped; see {@link dropEcho}. */
  #onEcho: (() => void) | undefined;

  /** The expectation that takes the next frame. */
  get next(): Expectation | undefined {
    return this.#expectations[0];
  }

  /**
   * Adds an expectation after those that are waiting.
   * @throws MilterError ERR_MILTER_PROTOCOL if the filter has sent a frame before anything was asked of it
   */
  add(expectation: Expectation): void {
    const stray = this.#unclaimed[0];
    if (stray !== undefined) {
      throw protocolError(`the filter sent ${showByte(stray.command)} while no reply was due`);
    }
    this.#onEcho = undefined;
    this.#expectations.push(expectation);
  }

  /** Hands a frame to the expectation whose turn it is. @throws MilterError ERR_MILTER_PROTOCOL for a wrong one */
  take(frame: Frame): void {
    const [expectation] = this.#expectations;
    if (expectation === undefined) this.#keep(frame);
    else if (expectation.take(frame.command, frame.payload)) this.#expectations.shift();
  }

  /** Removes and returns the oldest unexpected frame. */
  takeUnclaimed(): Frame | undefined {
    return this.#unclaimed.shift();
  }

  /**
   * Waits up to `ms` milliseconds for one more frame and drops it. One that comes later is dropped too, unless something
   * else is expected by then.
   *
   * libmilter replies twice if the handler of a body chunk that came with the end of the message returns anything but
   * CONTINUE (engine.c: st_bodyend sends the reply, and mi_engine sends it again).
   */
  dropEcho(ms: number): Promise<void> {
    if (this.#unclaimed.shift() !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onEcho = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Fails every expectation. */
  fail(error: MilterError): void {
    for (const expectation of this.#expectations.splice(0)) expectation.fail(error);
  }

  #keep(frame: Frame): void {
    if (this.#onEcho !== undefined) {
      this.#onEcho();
      this.#onEcho = undefined;
      return;
    }
    this.#unclaimed.push(frame);
    if (this.#unclaimed.length <= MAX_UNCLAIMED) return;
    throw protocolError(`the filter sent more than ${MAX_UNCLAIMED} unrequested frames`);
  }
}
