/** Checks of arguments and options. The messages name the function and the argument. */
import { badArgument } from './errors.js';
import { suggestName } from './suggestions.js';

/** A value as an error's message shows it. Not every object can become a string. */
export function shownValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : 'an object';
}

/** A string without NUL, at which libmilter would silently cut it off. */
export function checkText(where: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw badArgument(`${where} must be a string, not ${typeof value}`);
  if (value.includes('\0')) throw badArgument(`${where} contains a NUL character`);
}

/** As {@link checkText}, and not empty. */
export function checkWord(where: string, value: unknown): asserts value is string {
  checkText(where, value);
  if (value === '') throw badArgument(`${where} must not be empty`);
}

/** As {@link checkWord}, and one line. */
export function checkLine(where: string, value: unknown): asserts value is string {
  checkWord(where, value);
  if (/[\r\n]/.test(value)) throw badArgument(`${where} must be one line`);
}

/** A whole number from `min` to `max`. */
export function checkInteger(
  where: string,
  value: unknown,
  min: number,
  max = 2 ** 31 - 1,
): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw badArgument(`${where} must be a whole number from ${min} to ${max}, not ${shownValue(value)}`);
  }
}

/** True or false. */
export function checkBoolean(where: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean')
    throw badArgument(`${where} must be true or false, not ${shownValue(value)}`);
}

/** Values that are true or false, by their names. */
export function checkBooleans(prefix: string, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) checkBoolean(prefix + name, value);
}

/** A function. */
export function checkFunction(where: string, value: unknown): void {
  if (typeof value !== 'function') throw badArgument(`${where} must be a function, not ${shownValue(value)}`);
}

/** A function, or null. */
export function checkFunctionOrNull(where: string, value: unknown): void {
  if (value !== null && typeof value !== 'function') throw badArgument(`${where} must be a function or null`);
}

/** The names of a function's options. The type makes the compiler refuse a list that lacks one. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/** An object that has the function's options only. A misspelt option would silently have no effect. */
export function checkOptions<Options extends object>(
  where: string,
  options: Options,
  names: OptionNames<Options>,
): void {
  if (typeof options !== 'object' || options === null) {
    throw badArgument(
      `${where}: the options must be an object, not ${options === null ? 'null' : typeof options}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(names, key)) continue;
    const known = Object.keys(names);
    const meant = suggestName(key, known);
    throw badArgument(
      `${where} has no option ${key}${meant === undefined ? '' : `; did you mean ${meant}?`} (its options: ${known.join(', ')})`,
    );
  }
}
