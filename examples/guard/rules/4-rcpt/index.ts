/** Rules about a recipient, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { greylist } from './greylist';

export const rcptRules: readonly AnyRule[] = [greylist];
