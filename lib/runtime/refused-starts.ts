/** Whether filters may be started in this process: not where a filter's module was loaded for something else, such as a replay. */
import { MilterError } from '../internal/errors.js';

let reason: string | null = null;

/** From now on, starts are refused with this message. */
export function refuseStarts(message: string): void {
  reason = message;
}

/** @throws MilterError ERR_MILTER_IN_USE if starts are refused */
export function checkStartsAllowed(): void {
  if (reason !== null) throw new MilterError('ERR_MILTER_IN_USE', reason);
}
