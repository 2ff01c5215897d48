/** The run of the handlers of a batch of events, on a session's JS thread. */
import { type Events, stepIn } from '../addon/events.js';
import { NEGOTIATE } from '../addon/steps.js';

/** The run of a question's handlers. */
export interface Run {
  /** {@link NO_QUESTION} if the MTA does not wait for the answer. */
  readonly question: number;
  readonly events: unknown[];
  /** The step of the present event. */
  step: number;
  /** Where the next event begins. */
  at: number;
  /** Steps (header, body) whose further events in this batch are not wanted. */
  skipped: number;
  /** Whether {@link passChunk} has taken some. */
  largeChunks: boolean;
  /** Takes the verdict that ends the run, and whether events were left. */
  readonly end: (step: number, verdict: number, beforeLast: boolean) => void;
}

/** The run of the events of a question, from the first one on. */
export function runOf(question: number, events: Events, end: Run['end']): Run {
  return {
    question,
    events: events as unknown[],
    step: NEGOTIATE,
    at: 0,
    skipped: 0,
    largeChunks: false,
    end,
  };
}

/** Bytes of a chunk; the memory of smaller ones is not worth the work. */
const LARGE = 32 * 1024;

/** Takes a large chunk, whose handler has been called, out of the events: it would live until the last handler answers. */
export function passChunk(run: Run, at: number): void {
  if ((run.events[at] as Buffer).length < LARGE) return;
  run.largeChunks = true;
  run.events[at] = null;
}

/** The number of no question. */
export const NO_QUESTION = 0;

/** Whether the present step has another event later in the run. */
export function comesAgain({ events, step, at }: Run): boolean {
  for (let next = at; next < events.length; next += 2 + (events[next + 1] as number)) {
    if (stepIn(events[next]) === step) return true;
  }
  return false;
}

/** Whether this step is the last of the events, in which libmilter's thread waits. */
export function endsWith(events: Events, step: number): boolean {
  let last = -1;
  for (let at = 0; at < events.length; at += 2 + (events[at + 1] as number)) last = stepIn(events[at]);
  return last === step;
}
