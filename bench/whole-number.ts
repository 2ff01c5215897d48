/** Numbers on the command line of a benchmark. */

/** An error in the command line. */
export class UsageError extends Error {}

/** @throws UsageError that says what the option takes */
export function wholeNumber(option: string, value: string): number {
  if (/^[1-9]\d*$/.test(value)) return Number(value);
  throw new UsageError(`--${option} takes a whole number from 1 on, not '${value}'`);
}
