/** Contract 12, 13: what a class wants, worked out for each class of its own. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as Milter from 'tsmilter';
import { bitOf, CONNECT, ENVFROM, EOM, HANDLER_NAMES, HEADER, HELO, NEGOTIABLE } from '#lib/addon/steps.js';
import { Base } from '#lib/filter/base.js';
import { planForObject, planOf } from '#lib/filter/plan.js';

const ALL_NO = NEGOTIABLE.reduce((bits, { no }) => bits | no, 0);
const plan = (filter: typeof Base) => planOf(filter, Base);

class Parent extends Base {
  override connect(): Milter.Answer {
    return Milter.CONTINUE;
  }

  @Milter.nocallback
  override hello(): Milter.Answer {
    return Milter.CONTINUE;
  }

  @Milter.noreply
  @Milter.decode('bytes')
  @Milter.symlist('i')
  override envfrom(): Milter.Answer {
    return Milter.CONTINUE;
  }
}

describe('contract 13: the mask of a class', () => {
  it('Base and a class that overrides nothing want nothing but SKIP', () => {
    class Nothing extends Base {}
    assert.equal(Base.protocolMask(), ALL_NO | Milter.P_SKIP);
    assert.equal(Nothing.protocolMask(), ALL_NO | Milter.P_SKIP);
    assert.equal(plan(Nothing).handled, 0);
  });

  for (const { handler, step, no, nr } of NEGOTIABLE) {
    it(`${handler}: overridden, without reply, not called`, () => {
      const define = (statics: object) => {
        class Filter extends Base {}
        Object.defineProperty(Filter.prototype, handler, { value: () => 0 });
        return plan(Object.assign(Filter, statics));
      };
      assert.equal(define({}).protocol, (ALL_NO & ~no) | Milter.P_SKIP);
      assert.equal(define({}).handled, bitOf(step));
      assert.equal(define({ noreply: [handler] }).protocol, (ALL_NO & ~no) | nr | Milter.P_SKIP);
      assert.equal(define({ noreply: [handler] }).noreply, bitOf(step));
      assert.equal(define({ nocallback: [handler] }).protocol, ALL_NO | Milter.P_SKIP);
      assert.equal(define({ nocallback: [handler] }).handled, 0);
      assert.equal(define({ nocallback: [handler] }).nocallback, bitOf(step));
    });
  }

  it('RCPT_REJ and HDR_LEADSPC: off unless asked for', () => {
    @Milter.rejectedRecipients
    class Rejected extends Base {}
    @Milter.headerLeadingSpace
    class Spaced extends Base {}
    assert.equal(Base.protocolMask() & (Milter.P_RCPT_REJ | Milter.P_HDR_LEADSPC), 0);
    assert.equal(Rejected.protocolMask(), ALL_NO | Milter.P_SKIP | Milter.P_RCPT_REJ);
    assert.equal(Spaced.protocolMask(), ALL_NO | Milter.P_SKIP | Milter.P_HDR_LEADSPC);
  });
});

describe('contract 12: the mask of a subclass', () => {
  it('is its own, before and after the parent was used', () => {
    class Child extends Parent {
      override header(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    const before = Child.protocolMask();
    const parent = Parent.protocolMask();
    assert.equal(Child.protocolMask(), before);
    assert.equal(Parent.protocolMask(), parent);
    class Later extends Parent {
      override header(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    assert.equal(Later.protocolMask(), before);
    assert.notEqual(before, parent);
    assert.equal(plan(Later).handled, bitOf(CONNECT) | bitOf(ENVFROM) | bitOf(HEADER));
  });

  it('inherits methods and their marks', () => {
    class Child extends Parent {}
    assert.deepEqual(plan(Child), plan(Parent));
    assert.equal(plan(Child).decode.envfrom, 'bytes');
  });

  it('overriding a nocallback method turns it on again', () => {
    class Child extends Parent {
      override hello(): Milter.Answer {
        return Milter.REJECT;
      }
    }
    assert.equal(plan(Child).nocallback, 0);
    assert.notEqual(plan(Child).handled & bitOf(HELO), 0);
    assert.equal(Child.protocolMask() & Milter.P_NOHELO, 0);
    class Grandchild extends Child {
      @Milter.nocallback
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    assert.equal(Grandchild.protocolMask() & Milter.P_NOHELO, Milter.P_NOHELO);
    assert.equal(Child.protocolMask() & Milter.P_NOHELO, 0);
  });

  it('overriding takes all marks of the method away', () => {
    class Child extends Parent {
      override envfrom(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    const { noreply, symlists, decode } = plan(Child);
    assert.deepEqual([noreply, symlists, decode], [0, [], {}]);
  });

  it('static fields hold for the class that has them, not for methods of a subclass', () => {
    class Plain extends Base {
      static noreply = ['hello'];
      static nocallback = ['data'];
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
      override data(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    class Child extends Plain {
      override data(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    assert.equal(plan(Child).noreply, bitOf(HELO));
    assert.equal(plan(Child).nocallback, 0);
    class Replaced extends Plain {
      static override noreply = ['hello'];
      static override nocallback = [];
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    assert.equal(plan(Replaced).noreply, bitOf(HELO));
    assert.notEqual(plan(Replaced).nocallback, 0);
  });

  it('marks of the class are inherited, and a static field may take them back', () => {
    @Milter.rejectedRecipients
    @Milter.immediate
    class Marked extends Base {}
    class Child extends Marked {}
    class Back extends Child {
      static rejectedRecipients = false;
      static immediate = false;
    }
    assert.notEqual(Child.protocolMask() & Milter.P_RCPT_REJ, 0);
    assert.equal(plan(Child).immediate, true);
    assert.equal(Back.protocolMask() & Milter.P_RCPT_REJ, 0);
    assert.equal(plan(Back).immediate, false);
    class BackAgain extends Back {}
    assert.equal(plan(BackAgain).immediate, false);
    assert.equal(plan(Base).immediate, null);
  });

  it('a mixin between', () => {
    const withEom = (parent: typeof Base) =>
      class extends parent {
        override eom(): Milter.Answer {
          return Milter.ACCEPT;
        }
      };
    class Filter extends withEom(Parent as typeof Base) {}
    assert.equal(plan(Filter).handled, bitOf(CONNECT) | bitOf(ENVFROM) | bitOf(EOM));
  });

  it('a getter is not a handler, and is not called', () => {
    class Odd extends Base {}
    Object.defineProperty(Odd.prototype, 'hello', {
      get() {
        throw new Error('called');
      },
    });
    assert.equal(plan(Odd).handled, 0);
  });
});

describe('names that only look like handlers', () => {
  /** The plan of a class with these methods, and nothing else. */
  const withMethods = (names: readonly string[], parent: typeof Base = Base) => {
    class Filter extends parent {}
    for (const name of names) Object.defineProperty(Filter.prototype, name, { value: () => 0 });
    return plan(Filter);
  };
  const refused = (name: string, handler: string) => ({
    name: 'MilterError',
    code: 'ERR_MILTER_BAD_ARGUMENT',
    message: new RegExp(`^Filter has a method ${name}, .* the handler's name is ${handler};`),
  });

  for (const [name, handler] of [
    ...HANDLER_NAMES.map((handler) => [`${handler[0]}${handler.slice(1).toUpperCase()}`, handler] as const),
    ['envFrom', 'envfrom'],
    ['env_rcpt', 'envrcpt'],
    ['helo', 'hello'],
    ['HELO', 'hello'],
  ] as const) {
    it(`${name}: refused beside other handlers, allowed beside ${handler}`, () => {
      const other = handler === 'eom' ? 'close' : 'eom';
      assert.throws(() => withMethods([other, name]), refused(name, handler));
      assert.doesNotThrow(() => withMethods([handler, name]));
    });
  }

  for (const [name, handler] of [
    ['onConnect', 'connect'],
    ['on_helo', 'hello'],
    ['ehlo', 'hello'],
    ['mail', 'envfrom'],
    ['rcptTo', 'envrcpt'],
    ['handleData', 'data'],
    ['xxfi_eom', 'eom'],
    ['endOfMessage', 'eom'],
  ] as const) {
    it(`${name}: refused where there is no handler at all`, () => {
      assert.throws(() => withMethods([name]), refused(name, handler));
      assert.doesNotThrow(() => withMethods([name, 'close']));
      assert.doesNotThrow(() => withMethods([name, 'negotiate']));
    });
  }

  it('helpers are left alone, and so is a class that handles nothing', () => {
    const helpers = [
      'log',
      '_data',
      'header_',
      '__close',
      'connectTo',
      'headerName',
      'on',
      'once',
      'bodyText',
      'ok',
    ];
    assert.equal(withMethods(helpers).handled, 0);
    assert.equal(withMethods([...helpers, 'eom']).handled, bitOf(EOM));
    assert.equal(withMethods([]).handled, 0);
  });

  it('inherited ones are found, and a parent that has the handler makes it a helper', () => {
    class Misspelt extends Base {
      envFrom(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    assert.throws(() => withMethods(['eom'], Misspelt), refused('envFrom', 'envfrom'));
    assert.doesNotThrow(() => withMethods(['envFrom'], Parent as typeof Base));
  });

  it('getters are not called, and are no handlers', () => {
    class Odd extends Base {
      get helo(): never {
        throw new Error('called');
      }
    }
    assert.equal(plan(Odd).handled, 0);
  });
});

describe('planForObject', () => {
  it('handlers that are properties count', () => {
    class Arrow extends Base {
      override hello = () => Milter.CONTINUE;
      override eom = async () => Milter.ACCEPT;
    }
    const own = planForObject(new Arrow(), plan(Arrow));
    assert.equal(own.handled, bitOf(HELO) | bitOf(EOM));
    assert.equal(own.protocol & Milter.P_NOHELO, 0);
    assert.equal(plan(Arrow).handled, 0);
  });

  it('a property over a nocallback method turns it on', () => {
    class Arrow extends Parent {
      override hello = () => Milter.REJECT;
    }
    const own = planForObject(new Arrow(), plan(Arrow));
    assert.equal(own.nocallback, 0);
    assert.equal(own.protocol & Milter.P_NOHELO, 0);
  });

  it('properties that are no functions do not', () => {
    class Odd extends Base {
      data2 = 1;
    }
    const filter = Object.assign(new Odd(), { hello: undefined, body: 'text' });
    const shared = plan(Odd);
    assert.equal(planForObject(filter, shared), shared);
  });
});
