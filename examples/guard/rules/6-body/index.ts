/** Rules about the content of a message, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { dangerousContent } from './dangerous-content';
import { dmarc } from './dmarc';

export const bodyRules: readonly AnyRule[] = [dmarc, dangerousContent];
