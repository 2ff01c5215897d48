/** Rules that ask content scanners, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { clamd } from './clamd';
import { rspamd } from './rspamd';
import { spamd } from './spamd';

export const contentRules: readonly AnyRule[] = [clamd, spamd, rspamd];
