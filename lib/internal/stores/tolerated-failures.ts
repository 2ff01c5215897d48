/** Failures of a store without which a filter goes on. */
import { MilterError } from '../errors.js';

/**
 * Replaces the result of requests that fail. Each failure is reported to the user's function; without one, the process emits a
 * warning for the first failure, and for the first one after the store has worked again.
 */
export class ToleratedFailures {
  readonly #report: (error: MilterError) => void;
  #failing = false;

  /** @param onFailure the user's function, which must not throw */
  constructor(onFailure: ((error: MilterError) => void) | undefined) {
    this.#report = onFailure ?? ((error) => this.#warnOnce(error));
  }

  /** Runs a request. @param instead makes the result if the store fails (ERR_MILTER_STORE); other errors are thrown */
  async run<T>(request: () => Promise<T>, instead: (failure: MilterError) => T): Promise<T> {
    try {
      const result = await request();
      this.#failing = false;
      return result;
    } catch (error) {
      if (!(error instanceof MilterError && error.code === 'ERR_MILTER_STORE')) throw error;
      this.#report(error);
      return instead(error);
    }
  }

  #warnOnce(error: MilterError): void {
    if (!this.#failing) process.emitWarning(error.message, 'MilterWarning');
    this.#failing = true;
  }
}
