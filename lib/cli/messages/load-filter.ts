/** Loads a filter's module into this process. */
import { currentFactory, type Factory } from '../../filter/dispatch.js';
import { badArgument } from '../../internal/errors.js';
import { loadFilterModule } from '../../workers/filter-module.js';
import { loadModule, thrownText } from '../load-module.js';

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
  const { stopped } = await loadModule('tsmilter replay', path, loadFilterModule);
  const close = async () => {
    try {
      await stopped?.();
    } catch (error) {
      throw badArgument(`${path}: its export stopped has failed: ${thrownText(error)}`);
    }
  };
  return { factory: currentFactory() as Factory, close };
}
