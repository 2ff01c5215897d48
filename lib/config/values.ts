/** What the text of an option means, in the dialect of Python's ConfigParser. */

const INTEGER = /^[+-]?\d+$/;
const BOOLEANS = new Map([
  ...['1', 'yes', 'true', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'false', 'off'].map((word) => [word, false] as const),
]);

/** An integer that a JavaScript number holds exactly; undefined for any other text. */
export function integerOf(value: string): number | undefined {
  const number = INTEGER.test(value) ? Number(value) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** `1`, `yes`, `true`, `on`, or `0`, `no`, `false`, `off`, in any letter case; undefined for any other text. */
export function booleanOf(value: string): boolean | undefined {
  return BOOLEANS.get(value.toLowerCase());
}

/** The entries of a list, separated by commas or line breaks, without empty ones. */
export function entriesOf(value: string): string[] {
  return value
    .split(/[,\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
