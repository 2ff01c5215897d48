/** What a handler may answer. */
import { ACCEPT, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from '../addon/constants.js';
import { MilterError } from '../internal/errors.js';

/** A handler's verdict (libmilter's sfsistat). See docs/callbacks.md for what each means after which step. */
export type Status =
  | typeof CONTINUE
  | typeof REJECT
  | typeof DISCARD
  | typeof ACCEPT
  | typeof TEMPFAIL
  | typeof NOREPLY
  | typeof SKIP;

/** A verdict now or later. */
export type Answer = Status | Promise<Status>;

const STATUSES: ReadonlySet<unknown> = new Set([CONTINUE, REJECT, DISCARD, ACCEPT, TEMPFAIL, NOREPLY, SKIP]);

/** Returns `value` where it is a status that `step` may answer. @throws MilterError ERR_MILTER_BAD_STATUS */
export function checkStatus(step: string, value: unknown): Status {
  if (!STATUSES.has(value)) {
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
