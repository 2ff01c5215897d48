/** What Jest's `expect` lacks: a message for a failure, and errors described by their fields. */
import { expect } from '@jest/globals';

type Matchers = ReturnType<typeof expect>;

/**
 * `expect(actual)`, with a message that a failure shows below its own: the state of a filter, the case of a table.
 */
export function expectThat(actual: unknown, message: unknown): Matchers {
  return withMessage(expect(actual), message);
}

/** Wraps the matchers, and those behind `not`, `resolves` and `rejects`. */
function withMessage<T extends object>(matchers: T, message: unknown): T {
  return new Proxy(matchers, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member === 'object' && member !== null) return withMessage(member, message);
      if (typeof member !== 'function') return member;
      return function matcher(...args: unknown[]): unknown {
        const fail = (error: Error): never => {
          error.message += `\n\n${String(message)}`;
          // The stack begins with the message, and with the frames of the test below it.
          Error.captureStackTrace(error, matcher);
          throw error;
        };
        try {
          const result: unknown = member.apply(target, args);
          return result instanceof Promise ? result.catch(fail) : result;
        } catch (error) {
          return fail(error as Error);
        }
      };
    },
  });
}

/** Fields of an error; a pattern stands for the texts that it matches. */
type Fields = Readonly<Record<string, unknown>>;

/**
 * An error with these fields, for `toThrow`: `expect(f).toThrow(errorWith({ code: 'ENOENT', message: /none/ }))`.
 *
 * @param type the class that it must be of. Default: any
 */
export function errorWith(fields: Fields, type?: abstract new (...args: never[]) => Error): Error {
  const expected = Object.entries(fields).map(([name, value]) => [
    name,
    value instanceof RegExp ? expect.stringMatching(value) : value,
  ]);
  const ofFields = expect.objectContaining(Object.fromEntries(expected));
  if (type === undefined) return ofFields as unknown as Error;
  return Object.assign(Object.create(ofFields), {
    asymmetricMatch: (error: unknown) => error instanceof type && ofFields.asymmetricMatch(error as object),
  });
}
