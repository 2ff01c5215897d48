/** The reload of a filter's class. */
import { type Factory, isFilterClass } from './dispatch.js';

/** The static method `reload` of a filter's class; null for a class without one, and for a function that makes filters. */
export function reloadOf(factory: Factory | null): (() => unknown) | null {
  if (!isFilterClass(factory)) return null;
  const { reload } = factory as { readonly reload?: unknown };
  return typeof reload === 'function' ? () => reload.call(factory) : null;
}
