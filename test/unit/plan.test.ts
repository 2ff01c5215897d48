/** Contract 12, 13: what a class wants, worked out for each class of its own. */
import { describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import {
  bitOf,
  CLOSE,
  CONNECT,
  ENVFROM,
  EOM,
  HANDLER_NAMES,
  HEADER,
  HELO,
  NEGOTIABLE,
} from '#lib/addon/steps.js';
import { Base } from '#lib/filter/base.js';
import { planForObject, planOf } from '#lib/filter/plan.js';
import { errorWith } from '../support/expect';

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

/** @contract 13 */
describe('the mask of a class', () => {
  it('Base and a class that overrides nothing need only SKIP', () => {
    class Nothing extends Base {}
    expect(Base.protocolMask()).toBe(ALL_NO | Milter.P_SKIP);
    expect(Nothing.protocolMask()).toBe(ALL_NO | Milter.P_SKIP);
    expect(plan(Nothing).handled).toBe(0);
  });

  for (const { handler, step, no, nr } of NEGOTIABLE) {
    it(`${handler}: overridden, without reply, not called`, () => {
      const define = (statics: object) => {
        class Filter extends Base {}
        Object.defineProperty(Filter.prototype, handler, { value: () => 0 });
        return plan(Object.assign(Filter, statics));
      };
      expect(define({}).protocol).toBe((ALL_NO & ~no) | Milter.P_SKIP);
      expect(define({}).handled).toBe(bitOf(step));
      expect(define({ noreply: [handler] }).protocol).toBe((ALL_NO & ~no) | nr | Milter.P_SKIP);
      expect(define({ noreply: [handler] }).noreply).toBe(bitOf(step));
      expect(define({ nocallback: [handler] }).protocol).toBe(ALL_NO | Milter.P_SKIP);
      expect(define({ nocallback: [handler] }).handled).toBe(0);
      expect(define({ nocallback: [handler] }).nocallback).toBe(bitOf(step));
    });
  }

  it('RCPT_REJ and HDR_LEADSPC are off unless requested', () => {
    @Milter.rejectedRecipients
    class Rejected extends Base {}
    @Milter.headerLeadingSpace
    class Spaced extends Base {}
    expect(Base.protocolMask() & (Milter.P_RCPT_REJ | Milter.P_HDR_LEADSPC)).toBe(0);
    expect(Rejected.protocolMask()).toBe(ALL_NO | Milter.P_SKIP | Milter.P_RCPT_REJ);
    expect(Spaced.protocolMask()).toBe(ALL_NO | Milter.P_SKIP | Milter.P_HDR_LEADSPC);
  });
});

/** @contract 12 */
describe('the mask of a subclass', () => {
  it("is independent of its parent's, before and after the parent was used", () => {
    class Child extends Parent {
      override header(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    const before = Child.protocolMask();
    const parent = Parent.protocolMask();
    expect(Child.protocolMask()).toBe(before);
    expect(Parent.protocolMask()).toBe(parent);
    class Later extends Parent {
      override header(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    expect(Later.protocolMask()).toBe(before);
    expect(before).not.toBe(parent);
    expect(plan(Later).handled).toBe(bitOf(CONNECT) | bitOf(ENVFROM) | bitOf(HEADER));
  });

  it('inherits methods and their decorators', () => {
    class Child extends Parent {}
    expect(plan(Child)).toStrictEqual(plan(Parent));
    expect(plan(Child).decode.envfrom).toBe('bytes');
  });

  it('includes a nocallback method that is overridden', () => {
    class Child extends Parent {
      override hello(): Milter.Answer {
        return Milter.REJECT;
      }
    }
    expect(plan(Child).nocallback).toBe(0);
    expect(plan(Child).handled & bitOf(HELO)).not.toBe(0);
    expect(Child.protocolMask() & Milter.P_NOHELO).toBe(0);
    class Grandchild extends Child {
      @Milter.nocallback
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    expect(Grandchild.protocolMask() & Milter.P_NOHELO).toBe(Milter.P_NOHELO);
    expect(Child.protocolMask() & Milter.P_NOHELO).toBe(0);
  });

  it('overriding a method removes all its decorators', () => {
    class Child extends Parent {
      override envfrom(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    const { noreply, symlists, decode } = plan(Child);
    expect([noreply, symlists, decode]).toStrictEqual([0, [], {}]);
  });

  it('static fields apply to the class that has them, not to methods of a subclass', () => {
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
    expect(plan(Child).noreply).toBe(bitOf(HELO));
    expect(plan(Child).nocallback).toBe(0);
    class Replaced extends Plain {
      static override noreply = ['hello'];
      static override nocallback = [];
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    expect(plan(Replaced).noreply).toBe(bitOf(HELO));
    expect(plan(Replaced).nocallback).not.toBe(0);
  });

  it('borrows the chunks of a body method that says so, and of no other', () => {
    class Borrowing extends Base {
      @Milter.borrowed
      override body(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    class Child extends Borrowing {}
    class Overriding extends Borrowing {
      override body(): Milter.Answer {
        return super.body();
      }
    }
    class Static extends Base {
      static borrowed = ['body'];
      override body(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    expect([Parent, Borrowing, Child, Overriding, Static].map((one) => plan(one).borrowed)).toStrictEqual([
      ...[false, true, true, false, true],
    ]);
    const filter = Object.assign(Object.create(Borrowing.prototype), { body: () => Milter.CONTINUE });
    expect(planForObject(filter, plan(Borrowing)).borrowed).toBe(false);
    expect(planForObject({}, plan(Borrowing)).borrowed).toBe(true);
  });

  it('inherits class decorators, which a static field may turn off', () => {
    @Milter.rejectedRecipients
    @Milter.immediate
    class Marked extends Base {}
    class Child extends Marked {}
    class Back extends Child {
      static rejectedRecipients = false;
      static immediate = false;
    }
    expect(Child.protocolMask() & Milter.P_RCPT_REJ).not.toBe(0);
    expect(plan(Child).immediate).toBe(true);
    expect(Back.protocolMask() & Milter.P_RCPT_REJ).toBe(0);
    expect(plan(Back).immediate).toBe(false);
    class BackAgain extends Back {}
    expect(plan(BackAgain).immediate).toBe(false);
    expect(plan(Base).immediate).toBeNull();
  });

  it('works with a mixin in between', () => {
    const withEom = (parent: typeof Base) =>
      class extends parent {
        override eom(): Milter.Answer {
          return Milter.ACCEPT;
        }
      };
    class Filter extends withEom(Parent as typeof Base) {}
    expect(plan(Filter).handled).toBe(bitOf(CONNECT) | bitOf(ENVFROM) | bitOf(EOM));
  });

  it('does not count or call a getter', () => {
    class Odd extends Base {}
    Object.defineProperty(Odd.prototype, 'hello', {
      get() {
        throw new Error('called');
      },
    });
    expect(plan(Odd).handled).toBe(0);
    class Hiding extends Parent {}
    Object.defineProperty(
      Hiding.prototype,
      'connect',
      Object.getOwnPropertyDescriptor(Odd.prototype, 'hello') ?? {},
    );
    expect(plan(Hiding).handled & bitOf(CONNECT)).toBe(0);
  });
});

describe('names that resemble handlers', () => {
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
      expect(() => withMethods([other, name])).toThrow(errorWith(refused(name, handler)));
      expect(() => withMethods([handler, name])).not.toThrow();
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
    it(`${name}: refused if there is no handler`, () => {
      expect(() => withMethods([name])).toThrow(errorWith(refused(name, handler)));
      expect(() => withMethods([name, 'close'])).not.toThrow();
      expect(() => withMethods([name, 'negotiate'])).not.toThrow();
    });
  }

  it('helpers are ignored, and so is a class without handlers', () => {
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
    expect(withMethods(helpers).handled).toBe(0);
    expect(withMethods([...helpers, 'eom']).handled).toBe(bitOf(EOM));
    expect(withMethods([]).handled).toBe(0);
  });

  it('are found if inherited, and are helpers if a parent has the handler', () => {
    class Misspelt extends Base {
      envFrom(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    expect(() => withMethods(['eom'], Misspelt)).toThrow(errorWith(refused('envFrom', 'envfrom')));
    expect(() => withMethods(['envFrom'], Parent as typeof Base)).not.toThrow();
  });

  it('are allowed for getters, which are not called', () => {
    class Odd extends Base {
      get helo(): never {
        throw new Error('called');
      }
    }
    expect(plan(Odd).handled).toBe(0);
  });
});

describe('planForObject', () => {
  it('counts handlers that are properties', () => {
    class Arrow extends Base {
      override hello = () => Milter.CONTINUE;
      override eom = async () => Milter.ACCEPT;
    }
    const own = planForObject(new Arrow(), plan(Arrow));
    expect(own.handled).toBe(bitOf(HELO) | bitOf(EOM));
    expect(own.protocol & Milter.P_NOHELO).toBe(0);
    expect(plan(Arrow).handled).toBe(0);
  });

  it('includes a nocallback method overridden by a property', () => {
    class Arrow extends Parent {
      override hello = () => Milter.REJECT;
    }
    const own = planForObject(new Arrow(), plan(Arrow));
    expect(own.nocallback).toBe(0);
    expect(own.protocol & Milter.P_NOHELO).toBe(0);
  });

  it('a property in place of a method removes all that the method is marked with', () => {
    class Marked extends Base {
      static noreply = ['hello', 'body'];
      static borrowed = ['body'];
      static symlist = { hello: ['i'], eom: ['{msg_id}'] };
      static decode = { hello: 'bytes', header: 'bytes' } as const;
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
      override header(): Milter.Answer {
        return Milter.CONTINUE;
      }
      override body(): Milter.Answer {
        return Milter.CONTINUE;
      }
      override eom(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    class Arrow extends Marked {
      override hello = () => Milter.REJECT;
      override body = () => Milter.REJECT;
    }
    const own = planForObject(new Arrow(), plan(Arrow));
    expect(own.handled).toBe(plan(Marked).handled);
    expect(own.noreply).toBe(0);
    expect(own.protocol & (Milter.P_NR_HELO | Milter.P_NR_BODY)).toBe(0);
    expect(own.borrowed).toBe(false);
    expect(own.symlists).toStrictEqual([[Milter.M_EOM, ['{msg_id}']]]);
    expect(own.decode).toStrictEqual({ header: 'bytes' });
    expect(planForObject(new Marked(), plan(Marked))).toBe(plan(Marked));
  });

  it('a property that is no function is no handler, and hides the method of the class', () => {
    class Odd extends Base {
      data2 = 1;
    }
    const filter = Object.assign(new Odd(), { hello: undefined, body: 'text' });
    expect(planForObject(filter, plan(Odd))).toStrictEqual(plan(Odd));
    class Hiding extends Parent {}
    const hiding = Object.assign(new Hiding(), { connect: undefined, close: null });
    const own = planForObject(hiding, plan(Hiding));
    expect(own.handled & (bitOf(CONNECT) | bitOf(CLOSE))).toBe(0);
    expect(own.protocol & Milter.P_NOCONNECT).not.toBe(0);
  });
});
