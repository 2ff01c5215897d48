/** The exception policy of a TestCtx, which also keeps the errors for the test to look at. */
import { Exceptions } from '../../session/exception-policy.js';
import type { SessionFacts } from '../../session/observer.js';

/** An error in a handler. */
export interface HandlerError {
  readonly error: unknown;
  /** The step in which it happened, by the name of its libmilter callback. */
  readonly step: string;
}

export class RecordingExceptions extends Exceptions {
  readonly errors: HandlerError[] = [];

  override report(error: unknown, step: string, ...facts: [SessionFacts?]): void {
    this.errors.push({ error, step });
    super.report(error, step, ...facts);
  }
}
