/**
 * A promise of our own for one, or a thenable, of someone else's: it settles once, later, and never throws, whatever a `then` of their
 * own does. Promise.resolve() would give a native promise back as it is, with such a `then`.
 */
export function ownPromise<T>(theirs: PromiseLike<T>): Promise<T> {
  return new Promise((resolve) => resolve(theirs));
}
