/** The rights that the filter asks the MTA for. */
import { CURR_ACTS, SETSYMLIST } from '../addon/constants.js';

let flags: number = CURR_ACTS;

/**
 * Sets the rights (ADDHDRS, CHGHDRS, ...) the filter asks for, as bits; all of them where it is never called. Before
 * runmilter. Choosing macros is always asked for.
 * @returns the old rights
 */
export function setFlags(wanted: number): number {
  const old = flags;
  flags = wanted;
  return old;
}

/** The rights the filter asks for. */
export function currentFlags(): number {
  return flags | SETSYMLIST;
}
