/** Whether a handler's answer is one that its step may give. */
import { SKIP } from '../addon/constants.js';
import { STATUSES, type Status } from '../addon/status.js';
import { MilterError } from '../internal/errors.js';

const KNOWN: ReadonlySet<unknown> = new Set(STATUSES);

/** Returns `value` if it is a status that `step` may answer. @throws MilterError ERR_MILTER_BAD_STATUS */
export function checkStatus(step: string, value: unknown): Status {
  if (!KNOWN.has(value)) {
    const shown = typeof value === 'object' && value !== null ? 'an object' : String(value);
    throw new MilterError(
      'ERR_MILTER_BAD_STATUS',
      `${step} answered ${shown}: return one of CONTINUE, REJECT, DISCARD, ACCEPT, TEMPFAIL, NOREPLY or SKIP`,
    );
  }
  if (value === SKIP && step !== 'header' && step !== 'body') {
    throw new MilterError('ERR_MILTER_BAD_STATUS', `${step} answered SKIP, which only header and body may`);
  }
  return value as Status;
}
