/** The rights that the filter requests from the MTA. */
import { CURR_ACTS, SETSYMLIST } from '../addon/constants.js';
import { checkInteger } from '../internal/validate.js';

let flags: number = CURR_ACTS;

/**
 * Sets the rights (ADDHDRS, CHGHDRS, ...) that the filter requests, as bits. Call it before runmilter; without it, the filter
 * requests all rights. The right to choose macros is always requested.
 * @returns the old rights
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for anything but a sum of rights
 */
export function setFlags(wanted: number): number {
  checkInteger('setFlags: the sum of the rights', wanted, 0, CURR_ACTS);
  const old = flags;
  flags = wanted;
  return old;
}

/** The rights that the filter requests. */
export function currentFlags(): number {
  return flags | SETSYMLIST;
}
