/**
 * instanceof across copies of a class. There is more than one if two versions of the package are installed, and if
 * modules are loaded once for each realm (node:vm; Jest runs tests so). The copies of a class know each other's objects by a
 * symbol on their prototypes, which Symbol.for gives to all of them.
 */

// biome-ignore lint/suspicious/noExplicitAny: any class
type Class = abstract new (...args: any[]) => object;

const ordinaryInstanceof = Function.prototype[Symbol.hasInstance];

const brandOf = (name: string): symbol => Symbol.for(`tsmilter.${name}`);

/** Makes `object instanceof target` true for the objects of every copy of the class. */
export function shareInstanceof(target: Class, name: string): void {
  const brand = brandOf(name);
  Object.defineProperty(target.prototype, brand, { value: true });
  Object.defineProperty(target, Symbol.hasInstance, {
    value(this: unknown, candidate: unknown): boolean {
      // A subclass that is not shared inherits this method.
      if (this !== target) return ordinaryInstanceof.call(this as Class, candidate);
      return typeof candidate === 'object' && candidate !== null && brand in candidate;
    },
  });
}

/** The prototype of the copy that an object of a shared class was made from, or inherits from. */
export function sharedPrototype(object: object, name: string): object {
  const brand = brandOf(name);
  let prototype: object = object;
  while (!Object.hasOwn(prototype, brand)) prototype = Object.getPrototypeOf(prototype);
  return prototype;
}
