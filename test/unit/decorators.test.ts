/** Contract 11, 16, 17: decorators and static fields where they are written: what may be marked, and with what. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as Milter from 'tsmilter';
import { ABORT, bitOf, CLOSE, EOM, NEGOTIABLE, NEGOTIATE } from '#lib/addon/steps.js';
import { Base } from '#lib/filter/base.js';
import { planOf } from '#lib/filter/plan.js';

type Mark = (method: never, context: ClassMethodDecoratorContext) => void;

const NEGOTIABLE_NAMES = NEGOTIABLE.map(({ handler }) => handler);
const SYMLIST_NAMES = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom'];
const DECODED_NAMES = ['connect', 'hello', 'envfrom', 'envrcpt', 'header', 'unknown'];
const ALL_NAMES = [
  ...NEGOTIABLE_NAMES,
  'eom',
  'abort',
  'close',
  'negotiate',
  'log',
  'constructor',
  'helo',
  'toString',
];

/** Applies a decorator by hand, as a compiler would. */
function mark(decorator: Mark, name: string | symbol): void {
  const context = { kind: 'method', name, static: false, private: false, addInitializer: () => {} };
  decorator((() => 0) as never, context as unknown as ClassMethodDecoratorContext);
}

/** A class with one handler and static fields. */
function withStatics(statics: object, handlers: readonly string[]): typeof Base {
  class Filter extends Base {}
  for (const handler of handlers) {
    Object.defineProperty(Filter.prototype, handler, { value: () => 0, configurable: true });
  }
  return Object.assign(Filter, statics);
}

const plan = (filter: typeof Base) => planOf(filter, Base);

describe('which methods may be marked', () => {
  const kinds: readonly (readonly [
    name: string,
    decorator: Mark,
    statics: (handler: string) => object,
    allowed: readonly string[],
  ])[] = [
    ['noreply', Milter.noreply as Mark, (handler) => ({ noreply: [handler] }), NEGOTIABLE_NAMES],
    ['nocallback', Milter.nocallback as Mark, (handler) => ({ nocallback: [handler] }), NEGOTIABLE_NAMES],
    ['symlist', Milter.symlist('i') as Mark, (handler) => ({ symlist: { [handler]: ['i'] } }), SYMLIST_NAMES],
    [
      'decode',
      Milter.decode('bytes') as Mark,
      (handler) => ({ decode: { [handler]: 'bytes' } }),
      DECODED_NAMES,
    ],
  ];
  for (const [kind, decorator, statics, allowed] of kinds) {
    for (const name of ALL_NAMES) {
      const good = allowed.includes(name);
      it(`contract 11: ${kind} on ${name}: ${good ? 'fine' : 'an error where it is defined'}`, () => {
        const spell = [
          () => mark(decorator, name),
          () =>
            plan(
              withStatics(
                statics(name),
                [name].filter((one) => one !== 'constructor'),
              ),
            ),
        ];
        for (const define of spell) {
          if (good) define();
          else {
            assert.throws(define, {
              code: 'ERR_MILTER_BAD_ARGUMENT',
              message: new RegExp(`${kind} may mark .*, not ${name}`),
            });
          }
        }
      });
    }

    it(`${kind} on a method with a symbol for a name`, () => {
      assert.throws(() => mark(decorator, Symbol('connect')), { code: 'ERR_MILTER_BAD_ARGUMENT' });
    });

    it(`${kind} as a static field, for a method that the class has not`, () => {
      const handler = allowed[0] as string;
      assert.throws(() => plan(withStatics(statics(handler), [])), {
        code: 'ERR_MILTER_BAD_ARGUMENT',
        message: /does not define/,
      });
    });
  }
});

describe('contract 16: symlist', () => {
  it('at most 5 macros, apart or in one string', () => {
    for (const good of [[], ['a'], ['a', 'b', 'c', 'd', 'e'], ['a b c d e'], [' a  b ', 'c']]) {
      mark(Milter.symlist(...good) as Mark, 'connect');
      plan(withStatics({ symlist: { connect: good } }, ['connect']));
    }
    for (const bad of [['a', 'b', 'c', 'd', 'e', 'f'], ['a b c d e f'], ['a b c', 'd e f']]) {
      const error = { code: 'ERR_MILTER_BAD_SYMLIST' };
      assert.throws(() => mark(Milter.symlist(...bad) as Mark, 'connect'), error);
      assert.throws(() => plan(withStatics({ symlist: { connect: bad } }, ['connect'])), error);
    }
  });

  it('the stage of each handler', () => {
    for (const [stage, handler] of [
      'connect',
      'hello',
      'envfrom',
      'envrcpt',
      'data',
      'eom',
      'eoh',
    ].entries()) {
      const { symlists } = plan(withStatics({ symlist: { [handler]: ['i', '{x}'] } }, [handler]));
      assert.deepEqual(symlists, [[stage, ['i', '{x}']]]);
    }
  });
});

describe('contract 17: decode', () => {
  it('the policies there are, and no other', () => {
    for (const policy of ['surrogateescape', 'bytes', 'strict', 'ignore', 'replace'] as const) {
      mark(Milter.decode(policy) as Mark, 'header');
      assert.equal(plan(withStatics({ decode: { header: policy } }, ['header'])).decode.header, policy);
    }
    for (const wrong of ['latin1', 'utf-8', '', undefined, null, 'STRICT']) {
      const error = { code: 'ERR_MILTER_BAD_ARGUMENT', message: /surrogateescape, bytes/ };
      assert.throws(() => mark(Milter.decode(wrong as 'bytes') as Mark, 'header'), error);
      assert.throws(() => plan(withStatics({ decode: { header: wrong } }, ['header'])), error);
    }
  });
});

describe('decorators as a compiler applies them', () => {
  it('several on one method, in any order', () => {
    class One extends Base {
      @Milter.noreply
      @Milter.symlist('i')
      @Milter.decode('bytes')
      override envfrom() {
        return Milter.CONTINUE;
      }
    }
    class Other extends Base {
      @Milter.decode('bytes')
      @Milter.symlist('i')
      @Milter.noreply
      override envfrom() {
        return Milter.CONTINUE;
      }
    }
    assert.deepEqual(plan(One), plan(Other));
    assert.deepEqual(plan(One).symlists, [[Milter.M_ENVFROM, ['i']]]);
    assert.equal(plan(One).decode.envfrom, 'bytes');
    assert.notEqual(plan(One).noreply, 0);
  });

  it('say the same as static fields', () => {
    @Milter.rejectedRecipients
    @Milter.headerLeadingSpace
    @Milter.immediate
    class Decorated extends Base {
      @Milter.noreply override hello() {
        return Milter.CONTINUE;
      }
      @Milter.nocallback override data() {
        return Milter.CONTINUE;
      }
      @Milter.symlist('i', '{x}') @Milter.decode('strict') override envrcpt() {
        return Milter.CONTINUE;
      }
    }
    class Plain extends Base {
      static noreply = ['hello'];
      static nocallback = ['data'];
      static symlist = { envrcpt: ['i', '{x}'] };
      static decode = { envrcpt: 'strict' };
      static rejectedRecipients = true;
      static headerLeadingSpace = true;
      static immediate = true;
      override hello() {
        return Milter.CONTINUE;
      }
      override data() {
        return Milter.CONTINUE;
      }
      override envrcpt() {
        return Milter.CONTINUE;
      }
    }
    assert.deepEqual(plan(Plain), plan(Decorated));
    assert.equal(plan(Plain).immediate, true);
  });

  it('a mark stands outside of decorators that wrap the method', () => {
    type Handler = (...args: never[]) => Milter.Answer;
    const logged = (method: Handler, _context: ClassMethodDecoratorContext): Handler =>
      function (this: unknown, ...args: never[]) {
        return method.apply(this, args);
      };
    class Filter extends Base {
      @Milter.noreply
      @logged
      override hello(): Milter.Answer {
        return Milter.CONTINUE;
      }
    }
    assert.notEqual(plan(Filter).noreply, 0);
  });

  it('the decorated method stays what it was', () => {
    class Filter extends Base {
      @Milter.noreply
      override hello(): Milter.Answer {
        return Milter.REJECT;
      }
    }
    assert.equal(new Filter().hello(), Milter.REJECT);
    assert.equal(Filter.prototype.hello.name, 'hello');
  });

  it('marks of eom, abort and close: they count as handled, as negotiate never does', () => {
    const filter = withStatics({}, ['eom', 'abort', 'close', 'negotiate']);
    assert.equal(plan(filter).handled, bitOf(EOM) | bitOf(ABORT) | bitOf(CLOSE));
    assert.equal(plan(filter).handled & bitOf(NEGOTIATE), 0);
  });
});
