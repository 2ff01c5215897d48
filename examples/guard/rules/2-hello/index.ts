/** Rules about the name that the client gives itself, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { heloMissing } from './helo-missing';
import { heloNumeric } from './helo-numeric';
import { heloOwnName } from './helo-own-name';

export const helloRules: readonly AnyRule[] = [heloMissing, heloNumeric, heloOwnName];
