/** The callbacks of a filter, one per step, as in libmilter's smfiDesc. */

import { STEP_NAMES, type StepName } from '../addon/steps.js';
import type { CallbackTypes } from './callback-types.js';

/** The callbacks; null for steps that the filter does not want. */
export type Callbacks = { [Step in StepName]: CallbackTypes[Step] | null };

/** A set without any callback. */
export function noCallbacks(): Callbacks {
  return Object.fromEntries(STEP_NAMES.map((step) => [step, null])) as Callbacks;
}
