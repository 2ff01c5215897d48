/** Loads a filter's module, and finds what it must export. */

import { currentFactory, type Factory, isFilterClass, setFactory } from '../filter/dispatch.js';
import { badArgument } from '../internal/errors.js';
import type { Reload } from '../runtime/reload.js';

/** Called in each worker when the filter has stopped, to close what the module has opened. */
export type Stopped = () => unknown;

/** What a filter's module exports besides its factory. */
export interface ModuleHooks {
  readonly stopped: Stopped | undefined;
  readonly reload: Reload | undefined;
}

type Exports = Readonly<Record<string, unknown>>;

/**
 * A module's own exports, then those of its `default`: import() gives a CommonJS module as a default export, so that the
 * default of an ES module which was compiled to CommonJS is one level further down.
 */
function* levels(namespace: unknown): Generator<Exports> {
  let level = namespace;
  for (let depth = 0; depth < 3; depth++) {
    if (level === null || typeof level !== 'object') return; // a class's static members are not exports
    yield level as Exports;
    level = (level as Exports).default;
  }
}

function findFunction(name: string, namespace: unknown): (() => unknown) | undefined {
  for (const level of levels(namespace)) {
    const found = level[name];
    if (typeof found === 'function') return found as () => unknown;
  }
  return undefined;
}

/** The classes of filters among the exports, of whatever name. A class that has two names counts once. */
function findClasses(namespace: unknown): Factory[] {
  const exported = [...levels(namespace)].flatMap((level) => Object.values(level));
  return [...new Set(exported)].filter(isFilterClass);
}

/** The only class of a filter that a module exports. */
function onlyClass(url: string, namespace: unknown): Factory | undefined {
  const classes = findClasses(namespace);
  if (classes.length < 2) return classes[0];
  const names = classes.map(({ name }) => name).join(', ');
  throw badArgument(`${url} exports several filters (${names}): export one of them as default or factory`);
}

/**
 * Loads a filter's module into this thread and sets its factory.
 * @param url the module's `file:` URL
 * @returns its exports `stopped` and `reload`, if it has them
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT if the module sets no factory; and whatever the module throws
 */
export async function loadFilterModule(url: string): Promise<ModuleHooks> {
  const namespace: unknown = await import(url);
  const factory = findFunction('factory', namespace) ?? findFunction('default', namespace);
  if (factory) setFactory(factory as Factory);
  else if (!currentFactory()) setFactory(onlyClass(url, namespace) ?? null);
  if (!currentFactory()) {
    throw badArgument(
      `${url} exports no filter: export a class that extends Base, or a function that makes one, as default or factory`,
    );
  }
  return { stopped: findFunction('stopped', namespace), reload: findFunction('reload', namespace) };
}
