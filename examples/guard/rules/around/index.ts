/** Rules that are asked nothing: they learn from what became of a message. */
import type { AnyRule } from '../../rule';
import { training } from './training';

export const aroundRules: readonly AnyRule[] = [training];
