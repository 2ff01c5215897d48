/** The order of a test's calls: one step after the other, one message after the other, even if the test does not await. */
import { MilterError } from '../../internal/errors.js';

export class StepQueue {
  #lastStep: Promise<unknown> = Promise.resolve();
  #lastMessage: Promise<unknown> = Promise.resolve();
  /** Messages that are being fed, or wait for their turn. */
  #messages = 0;
  #closed: Promise<void> | null = null;

  /** Runs a step after the steps before it. @throws MilterError ERR_MILTER_CLOSED after the end of the session */
  step<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closed && this.#messages === 0) return Promise.reject(sessionEnded());
    const result = this.#lastStep.then(run);
    this.#lastStep = result.catch(() => {});
    return result;
  }

  /** Runs the steps of a whole message after the messages before it. @throws MilterError as {@link step} */
  message<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(sessionEnded());
    this.#messages++;
    const result = this.#lastMessage.then(run).finally(() => this.#messages--);
    this.#lastMessage = result.catch(() => {});
    return result;
  }

  /** Runs the end of the session, once, after all that has been called before. */
  close(run: () => Promise<void>): Promise<void> {
    this.#closed ??= this.#lastMessage.then(() => this.#lastStep).then(run);
    return this.#closed;
  }
}

function sessionEnded(): MilterError {
  return new MilterError(
    'ERR_MILTER_CLOSED',
    'the session has ended: make another TestCtx for another session',
  );
}
