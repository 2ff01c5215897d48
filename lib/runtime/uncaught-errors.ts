/** The uncaught errors of this thread, as reports to the error hook (runmilter's `uncaughtErrors: 'report'`). */
import type { Exceptions } from '../session/exception-policy.js';
import { NO_SESSION } from '../session/observer.js';

/**
 * Reports them from now on, where Node would end the thread. A listener of the application's own for unhandledRejection keeps
 * rejections to itself.
 * @returns ends that
 */
export function reportUncaughtErrors(exceptions: Exceptions): () => void {
  // An unhandled rejection comes here too, with its name as the origin. report() never throws.
  const report = (error: unknown, origin: string) => exceptions.report(error, origin, NO_SESSION);
  process.on('uncaughtException', report);
  return () => process.off('uncaughtException', report);
}
