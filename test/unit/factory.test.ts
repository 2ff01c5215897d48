/** What may be a factory. */
import { afterEach, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { TestCtx } from 'tsmilter/testing';
import { errorWith } from '../support/expect';

describe('setFactory', () => {
  afterEach(() => {
    Milter.setFactory(null);
  });

  it('accepts a class that extends Base, a function, or null, and returns the old one', () => {
    class Filter extends Milter.Base {}
    const make = () => new Filter();
    function old() {
      return new Filter();
    }
    expect(Milter.setFactory(Filter)).toBeNull();
    expect(Milter.setFactory(make)).toBe(Filter);
    expect(Milter.setFactory(old)).toBe(make);
    expect(Milter.setFactory(Milter.Base)).toBe(old);
    expect(Milter.setFactory(null)).toBe(Milter.Base);
  });

  it('rejects a class that does not extend Base, naming it, and keeps the previous factory', () => {
    class Forgotten {}
    class Filter extends Milter.Base {}
    Milter.setFactory(Filter);
    expect(() => Milter.setFactory(Forgotten as unknown as Milter.Factory)).toThrow(
      errorWith({
        name: 'MilterError',
        code: 'ERR_MILTER_BAD_ARGUMENT',
        message: /a class that extends Base: Forgotten does not/,
      }),
    );
    expect(Milter.setFactory(null)).toBe(Filter);
  });

  it('refuses values that are not functions', () => {
    expect(() => Milter.setFactory({} as unknown as Milter.Factory)).toThrow(
      errorWith({
        code: 'ERR_MILTER_BAD_ARGUMENT',
      }),
    );
  });

  it('refuses a class with invalid static fields before any session', () => {
    class Marked extends Milter.Base {
      static noreply = ['hello'];
    }
    class Misspelt extends Milter.Base {
      envFrom() {
        return Milter.CONTINUE;
      }
    }
    for (const [wrong, message] of [
      [Marked, /names hello, which this class does not define/],
      [Misspelt, /method envFrom, which would never be called: the handler's name is envfrom/],
    ] as const) {
      expect(() => Milter.setFactory(wrong)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message }));
      expect(() => new TestCtx(wrong)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message }));
    }
    expect(Milter.setFactory(null)).toBeNull();
  });
});
