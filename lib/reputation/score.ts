/** Score and confidence. */
import type { MilterError } from '../internal/errors.js';
import type { Tally } from './outcomes.js';

/** The reputation of an identity. */
export interface ReputationScore {
  /**
   * From -100 (all messages were spam) to 100 (none was): `100 * (ham - spam) / (ham + spam)`, where each message counts with its
   * weight: 1 when it is new, half of that after each `halfLife`. 0 if nothing is known.
   */
  readonly score: number;
  /**
   * From 0 (nothing is known) towards 100: 100 minus the width, in percentage points, of the 95 % confidence interval (Wilson) of the
   * share of messages that are not spam. It rises with the number of messages and falls as they age. For a score of 100 or -100, it
   * is 21 after one message, 51 after 4, 72 after 10, 96 after 100.
   */
  readonly confidence: number;
  /** The number of messages that have been counted, at most 1,024. */
  readonly messages: number;
  /** The error of the store if it has failed, and the other values are 0 for that reason. */
  readonly failure?: MilterError;
}

/** The score of an identity of which nothing is known. */
export const UNKNOWN: ReputationScore = Object.freeze({ score: 0, confidence: 0, messages: 0 });

/** The number of standard deviations on either side of the mean in a 95 % interval of the normal distribution. */
const Z = 1.959964;

/** Computes score and confidence. @see {@link ReputationScore} */
export function scoreOf({ ham, spam, messages }: Tally): ReputationScore {
  const total = ham + spam;
  // The weights of very old messages are 0.
  if (total === 0) return { ...UNKNOWN, messages };
  const width = ((2 * Z) / (total + Z ** 2)) * Math.sqrt((ham * spam) / total + Z ** 2 / 4);
  return { score: (100 * (ham - spam)) / total, confidence: Math.max(0, 100 * (1 - width)), messages };
}
