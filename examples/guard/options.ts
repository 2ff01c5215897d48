/** Kinds of options: how the text of an option in the configuration file becomes a value, and what the documentation says about it. */
import { isAbsolute, resolve } from 'node:path';
import { AddressList, NetworkList } from 'tsmilter/lists';
import { AccessMap } from 'tsmilter/policy';
import { ConfigError } from '../shared/config-error';
import type { Resources } from './resources';

/** What reading an option may need. */
export interface ReadContext {
  /** The directory of the configuration file: relative names of files are relative to it. */
  readonly directory: string;
  /** The path of a file whose changes make the filter read its whole configuration again. */
  watch(name: string): string;
  /** Closes what has been opened when the configuration is not in use any more. */
  readonly resources: Resources;
  /** Reports what goes wrong with a file while the filter runs. */
  readonly report: (message: string) => void;
}

/** An option of a rule, or of the filter. */
export interface Option<T> {
  /** A phrase for the documentation. */
  readonly doc: string;
  /** The value if the option is not in the file, as it would be written there. */
  readonly fallback: string;
  /** @throws Error whose message says what is wrong with the text */
  read(text: string, context: ReadContext): T | Promise<T>;
}

export type Options = Readonly<Record<string, Option<unknown>>>;

/** The values of options. */
export type Values<O extends Options> = { readonly [Name in keyof O]: Awaited<ReturnType<O[Name]['read']>> };

/** One line of text; null if it is empty. */
export function text(doc: string, fallback = ''): Option<string | null> {
  return {
    doc,
    fallback,
    read(value) {
      if (value.includes('\n')) throw new ConfigError('must be one line');
      return value || null;
    },
  };
}

/** A whole number within bounds. */
export function number(doc: string, fallback: number, min: number, max: number): Option<number> {
  return {
    doc,
    fallback: String(fallback),
    read(value) {
      const found = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      if (found >= min && found <= max) return found;
      throw new ConfigError(`${value} is not a number from ${min} to ${max}`);
    },
  };
}

const FLAGS: Readonly<Record<string, boolean>> = {
  yes: true,
  true: true,
  on: true,
  no: false,
  false: false,
  off: false,
};

export function flag(doc: string, fallback: boolean): Option<boolean> {
  return {
    doc,
    fallback: fallback ? 'yes' : 'no',
    read(value) {
      const word = value.toLowerCase();
      if (Object.hasOwn(FLAGS, word)) return FLAGS[word] as boolean;
      throw new ConfigError(`${value} is neither yes nor no`);
    },
  };
}

function wordOf<T extends string>(value: string, words: readonly T[]): T {
  const found = words.find((word) => word === value.toLowerCase());
  if (found === undefined) throw new ConfigError(`${value} is not one of ${words.join(', ')}`);
  return found;
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

/** Addresses and domains, and files of them, as `tsmilter/lists` reads them. */
export function addresses(doc: string, fallback: readonly string[] = []): Option<AddressList> {
  return {
    doc,
    fallback: fallback.join(', '),
    read: (value, context) =>
      opened(AddressList.open(listEntries(value, context), onFileError(context)), context),
  };
}

/** Networks, and files of them, as `tsmilter/lists` reads them. */
export function networks(doc: string, fallback: readonly string[] = []): Option<NetworkList> {
  return {
    doc,
    fallback: fallback.join(', '),
    read: (value, context) =>
      opened(NetworkList.open(listEntries(value, context), onFileError(context)), context),
  };
}

/** Sendmail's access map, or a file of its form; null if there is none. */
export function accessMap(doc: string): Option<AccessMap | null> {
  return {
    doc,
    fallback: '',
    read: (value, context) =>
      value === ''
        ? null
        : opened(AccessMap.open(resolve(context.directory, value), onFileError(context)), context),
  };
}

function entriesOf(value: string): string[] {
  return value
    .split(/[,\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** `file:name` is a file; so is a name that begins with a slash. */
function listEntries(value: string, { directory }: ReadContext): string[] {
  return entriesOf(value).map((entry) => {
    const name = /^file:\s*(.+)$/i.exec(entry)?.[1];
    if (name === undefined) return entry;
    return isAbsolute(name) ? name : resolve(directory, name);
  });
}

const onFileError = ({ report }: ReadContext) => ({
  onError: (error: Error) => report(`${error.message}; the old entries stay in use`),
});

async function opened<T extends { close(): void }>(
  opening: Promise<T>,
  { resources }: ReadContext,
): Promise<T> {
  const value = await opening;
  resources.add(() => value.close());
  return value;
}
