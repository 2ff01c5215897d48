/** Modules of the user's own that a subcommand loads into its own process. */

import { pathToFileURL } from 'node:url';
import { types } from 'node:util';
import { errorText } from '../internal/error-text.js';
import { badArgument, MilterError } from '../internal/errors.js';
import { refuseStarts } from '../runtime/refused-starts.js';
import { moduleFile } from './module-file.js';

/** What was thrown, as text: an error's stack, or anything else, because a module can throw that as well. */
export function thrownText(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  return types.isNativeError(thrown) ? (thrown.stack ?? thrown.message) : errorText(thrown);
}

/**
 * Loads a module, which cannot start a filter then: the subcommand would wait for its end.
 * @param load loads the URL
 * @throws UsageError if there is no such file, MilterError ERR_MILTER_BAD_ARGUMENT if the module cannot be loaded
 */
export async function loadModule<T>(
  subcommand: string,
  path: string,
  load: (url: string) => Promise<T>,
): Promise<T> {
  const file = moduleFile(path);
  refuseStarts(
    `no filter is started, because ${subcommand} only loads its module: call runmilter in a module of its own, and give ${subcommand} ` +
      'the one that exports the filter',
  );
  try {
    return await load(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof MilterError) throw error;
    throw badArgument(`${path} cannot be loaded: ${thrownText(error)}`);
  }
}
