/** Kinds of options for rules: those that all filters share, and lists that watch their files. */
import { isAbsolute, resolve } from 'node:path';
import { entriesOf } from 'tsmilter/config';
import { AddressList, NetworkList } from 'tsmilter/lists';
import { AccessMap } from 'tsmilter/policy';
import type * as shared from '../shared/options';
import type { Resources } from './resources';

export { choice, choices, flag, list, number, path, text, type Values } from '../shared/options';

/** What reading an option may need. */
export interface ReadContext extends shared.ReadContext {
  /** The path of a file whose changes make the filter read its whole configuration again. */
  watch(name: string): string;
  /** Closes what has been opened when the configuration is not in use any more. */
  readonly resources: Resources;
  /** Reports what goes wrong with a file while the filter runs. */
  readonly report: (message: string) => void;
}

/** An option of a rule, or of the filter. */
export type Option<T> = shared.Option<T, ReadContext>;
export type Options = shared.Options<ReadContext>;

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
