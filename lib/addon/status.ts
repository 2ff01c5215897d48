/** What a handler may answer: libmilter's statuses. */
import { ACCEPT, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from './constants.js';

/** Every status that a handler may answer. ALL_OPTS is not among them: only negotiate may answer it. */
export const STATUSES = [CONTINUE, REJECT, DISCARD, ACCEPT, TEMPFAIL, NOREPLY, SKIP] as const;

/** A handler's verdict (libmilter's sfsistat). See docs/callbacks.md for what each means after which step. */
export type Status = (typeof STATUSES)[number];

/** A verdict now or later. */
export type Answer = Status | Promise<Status>;
