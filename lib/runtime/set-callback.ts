/** Sets one callback of the filter. */

import type { StepName } from '../addon/steps.js';
import { checkFunctionOrNull } from '../internal/validate.js';
import type { CallbackTypes } from '../session/callback-types.js';
import { runtime } from './runtime.js';

/** Sets a callback and returns the one that it replaces; null removes it. */
export function setCallback<Step extends StepName>(
  step: Step,
  callback: CallbackTypes[Step] | null,
): CallbackTypes[Step] | null {
  checkFunctionOrNull(`the ${step} callback`, callback);
  // TypeScript does not see that a mapped type's member is of the mapped type.
  const callbacks = runtime.callbacks as Record<Step, CallbackTypes[Step] | null>;
  const old = callbacks[step];
  callbacks[step] = callback;
  return old;
}
