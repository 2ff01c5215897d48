/** Kinds of options: how the text of an option in the configuration file becomes a value, and what the documentation says about it. */
import { resolve } from 'node:path';
import { booleanOf, entriesOf, integerOf } from 'tsmilter/config';
import { ConfigError } from './config-error';

/** What reading an option may need. */
export interface ReadContext {
  /** The directory of the configuration file: relative names of files are relative to it. */
  readonly directory: string;
}

/** An option of a configuration file. A filter whose options need more of the context than others says so in `Context`. */
export interface Option<T, Context extends ReadContext = ReadContext> {
  /** A phrase for the documentation. */
  readonly doc: string;
  /** The value if the option is not in the file, as it would be written there. */
  readonly fallback: string;
  /** Gets the text without white space around it. Throws an Error whose message says what is wrong with it. */
  readonly read: (text: string, context: Context) => T | Promise<T>;
}

/** The options of a section. */
export type Options<Context extends ReadContext = ReadContext> = Readonly<
  Record<string, Option<unknown, Context>>
>;

/** The values of options. */
export type Values<O extends Options<never>> = {
  readonly [Name in keyof O]: Awaited<ReturnType<O[Name]['read']>>;
};

/** One line of text; null if it is empty. */
export function text(doc: string, fallback = ''): Option<string | null> {
  return { doc, fallback, read: (value) => oneLine(value) || null };
}

/** The value, unless it has several lines: a line break in an option is a list, or a mistake. */
export function oneLine(value: string): string {
  if (value.includes('\n')) throw new ConfigError('must be one line');
  return value;
}

/** A whole number within bounds. */
export function number(doc: string, fallback: number, min: number, max: number): Option<number> {
  return {
    doc,
    fallback: String(fallback),
    read(value) {
      const found = integerOf(value);
      if (found !== undefined && found >= min && found <= max) return found;
      throw new ConfigError(`${value} is not a number from ${min} to ${max}`);
    },
  };
}

/** Yes or no. */
export function flag(doc: string, fallback: boolean): Option<boolean> {
  return {
    doc,
    fallback: fallback ? 'yes' : 'no',
    read(value) {
      const found = booleanOf(value);
      if (found !== undefined) return found;
      throw new ConfigError(`${value} is neither yes nor no`);
    },
  };
}

/** One of several words, in any letter case. */
export function choice<T extends string>(doc: string, words: readonly T[], fallback: NoInfer<T>): Option<T> {
  return { doc: `${doc}: ${words.join(', ')}`, fallback, read: (value) => wordOf(value, words) };
}

/** Several of these words. */
export function choices<T extends string>(
  doc: string,
  words: readonly T[],
  fallback: readonly NoInfer<T>[],
): Option<readonly T[]> {
  return {
    doc: `${doc}: ${words.join(', ')}`,
    fallback: fallback.join(', '),
    read: (value) => entriesOf(value).map((entry) => wordOf(entry, words)),
  };
}

/** Entries separated by commas or line breaks. */
export function list(doc: string, fallback: readonly string[] = []): Option<readonly string[]> {
  return { doc, fallback: fallback.join(', '), read: entriesOf };
}

/** The name of a file or directory; null if there is none. */
export function path(doc: string, fallback = ''): Option<string | null> {
  return { doc, fallback, read: (value, { directory }) => (value === '' ? null : resolve(directory, value)) };
}

/** The one of these words that the value is, in any letter case. */
export function wordOf<T extends string>(value: string, words: readonly T[]): T {
  const found = words.find((word) => word === value.toLowerCase());
  if (found === undefined)
    throw new ConfigError(`${value === '' ? 'nothing' : value} is not one of ${words.join(', ')}`);
  return found;
}
