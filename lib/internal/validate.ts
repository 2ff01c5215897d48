/** Checks of what a filter passes to libmilter. The messages name the function and the argument. */
import { badArgument } from './errors.js';
import { suggestName } from './suggestions.js';

/** A string without NUL, which would end it silently inside libmilter. */
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

/** A header's name: no colon, space or control character, which would begin its value or another header. */
export function checkHeaderName(action: string, name: unknown): asserts name is string {
  checkWord(`${action}: name`, name);
  if (/[:\s]|\p{Cc}/u.test(name))
    throw badArgument(`${action}: ${JSON.stringify(name)} is not a header's name (RFC 5322 2.2)`);
}

/** A header's value: a line end must be followed by white space (a fold), or what follows is another header. */
export function checkHeaderValue(action: string, value: unknown): asserts value is string {
  checkText(`${action}: value`, value);
  if (/\r(?!\n)|\n(?![ \t])/.test(value)) {
    throw badArgument(
      `${action}: a line end in a header's value must be followed by a space or tab (RFC 5322 2.2.3)`,
    );
  }
}

/** A whole number within [least, most]. */
export function checkInteger(
  where: string,
  value: unknown,
  least: number,
  most = 2 ** 31 - 1,
): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw badArgument(`${where} must be a whole number from ${least} to ${most}, not ${String(value)}`);
  }
}

/** A function, or null. */
export function checkFunctionOrNull(where: string, value: unknown): void {
  if (value !== null && typeof value !== 'function') throw badArgument(`${where} must be a function or null`);
}

/** The names of a function's options. As a type it cannot lack one: a new option is added to both, or does not compile. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/** An object whose every property is one of the options: a misspelt one would have no effect, and nobody would notice. */
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
