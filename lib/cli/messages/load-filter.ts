/** Loads a filter's module into this process. */
import { pathToFileURL } from 'node:url';
import { currentFactory, type Factory } from '../../filter/dispatch.js';
import { badArgument, MilterError } from '../../internal/errors.js';
import { loadFilterModule } from '../../workers/filter-module.js';
import { moduleFile } from '../module-file.js';

/** A filter, and what closes that which its module has opened. */
export interface LoadedFilter {
  readonly factory: Factory;
  close(): Promise<void>;
}

/**
 * @throws UsageError if there is no such file; MilterError ERR_MILTER_BAD_ARGUMENT if the module cannot be loaded, or exports no
 *   filter
 */
export async function loadFilter(path: string): Promise<LoadedFilter> {
  const file = moduleFile(path);
  try {
    const { stopped } = await loadFilterModule(pathToFileURL(file).href);
    const close = async () => {
      await stopped?.();
    };
    return { factory: currentFactory() as Factory, close };
  } catch (error) {
    if (error instanceof MilterError) throw error;
    const { stack, message } = error as Error;
    throw badArgument(`${path} cannot be loaded: ${stack ?? message}`);
  }
}
