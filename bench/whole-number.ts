/** Numbers on the command line of a benchmark. */

/** @throws Error that says what the option takes */
export function wholeNumber(option: string, value: string): number {
  if (/^[1-9]\d*$/.test(value)) return Number(value);
  throw new Error(`--${option} is a whole number from 1, not ${value}`);
}
