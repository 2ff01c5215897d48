/** Rules about mail that nothing has refused: who else gets it. */
import type { AnyRule } from '../../rule';
import { archive } from './archive';
import { blindCopy } from './blind-copy';
import { smartAlias } from './smart-alias';

export const endRules: readonly AnyRule[] = [smartAlias, blindCopy, archive];
