/** A filter's module: what it must export. */

import { currentFactory, type Factory, setFactory } from '../filter/dispatch.js';
import { badArgument } from '../internal/errors.js';

/** Called in each worker when the filter has stopped. */
export type Stopped = () => unknown;

type Exports = Readonly<Record<string, unknown>>;

/**
 * A module's own exports, then what stands behind its `default`: CommonJS modules arrive as a default export, and a
 * compiled ES module's own default one step further in.
 */
function* levels(namespace: unknown): Generator<Exports> {
  let level = namespace;
  for (let depth = 0; depth < 3; depth++) {
    if (level === null || typeof level !== 'object') return; // not into a class: its statics are its own
    yield level as Exports;
    level = (level as Exports).default;
  }
}

function functionNamed(name: string, namespace: unknown): ((...args: never[]) => unknown) | undefined {
  for (const level of levels(namespace)) {
    const found = level[name];
    if (typeof found === 'function') return found as () => unknown;
  }
  return undefined;
}

/**
 * Loads a filter's module into this thread and sets its factory.
 * @param url the module's `file:` URL
 * @returns its export `stopped`, which ends what the module has begun, where it has one
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT where the module gives no factory; and what the module throws
 */
export async function loadFilterModule(url: string): Promise<Stopped | undefined> {
  const namespace: unknown = await import(url);
  const factory = functionNamed('factory', namespace) ?? functionNamed('default', namespace);
  if (factory) setFactory(factory as Factory);
  if (!currentFactory()) {
    throw badArgument(
      `${url} exports no filter: export a class that extends Base, or a function that makes one, as default or factory`,
    );
  }
  return functionNamed('stopped', namespace) as Stopped | undefined;
}
