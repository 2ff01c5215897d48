/** The handlers of a filter class, for tests that are about each of them. */
import { HANDLER_NAMES, type HandlerName } from '#lib/addon/steps.js';
import type { Acts } from '../fixtures/script.js';

/** Those of the steps of a session. */
export type StepHandler = Exclude<HandlerName, 'negotiate'>;
export const STEP_HANDLERS = HANDLER_NAMES.filter((name): name is StepHandler => name !== 'negotiate');

/** Those whose answer means something. */
export type AnsweredHandler = Exclude<StepHandler, 'abort' | 'close'>;
export const ANSWERED_HANDLERS = STEP_HANDLERS.filter(
  (name): name is AnsweredHandler => name !== 'abort' && name !== 'close',
);

/** A script with all of them that does nothing. */
export const ALL_HANDLERS: Acts = Object.fromEntries(STEP_HANDLERS.map((name) => [name, {}]));
