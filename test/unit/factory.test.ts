/** What may be a factory. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import * as Milter from 'tsmilter';
import { TestCtx } from 'tsmilter/testing';

describe('setFactory', () => {
  afterEach(() => {
    Milter.setFactory(null);
  });

  it('takes a class that extends Base, a function, or null, and returns the old one', () => {
    class Filter extends Milter.Base {}
    const make = () => new Filter();
    function old() {
      return new Filter();
    }
    assert.equal(Milter.setFactory(Filter), null);
    assert.equal(Milter.setFactory(make), Filter);
    assert.equal(Milter.setFactory(old), make);
    assert.equal(Milter.setFactory(Milter.Base), old);
    assert.equal(Milter.setFactory(null), Milter.Base);
  });

  it('refuses a class that does not extend Base, by its name, and keeps the old one', () => {
    class Forgotten {}
    class Filter extends Milter.Base {}
    Milter.setFactory(Filter);
    assert.throws(() => Milter.setFactory(Forgotten as unknown as Milter.Factory), {
      name: 'MilterError',
      code: 'ERR_MILTER_BAD_ARGUMENT',
      message: /a class that extends Base: Forgotten does not/,
    });
    assert.equal(Milter.setFactory(null), Filter);
  });

  it('refuses what is no function', () => {
    assert.throws(() => Milter.setFactory({} as unknown as Milter.Factory), {
      code: 'ERR_MILTER_BAD_ARGUMENT',
    });
  });

  it('refuses a class whose plan is wrong, before there is a session', () => {
    class Marked extends Milter.Base {
      static noreply = ['hello'];
    }
    class Misspelt extends Milter.Base {
      envFrom() {
        return Milter.CONTINUE;
      }
    }
    for (const [wrong, message] of [
      [Marked, /marks hello, which this class does not define/],
      [Misspelt, /method envFrom, which would never be called: the handler's name is envfrom/],
    ] as const) {
      assert.throws(() => Milter.setFactory(wrong), { code: 'ERR_MILTER_BAD_ARGUMENT', message });
      assert.throws(() => new TestCtx(wrong), { code: 'ERR_MILTER_BAD_ARGUMENT', message });
    }
    assert.equal(Milter.setFactory(null), null);
  });
});
