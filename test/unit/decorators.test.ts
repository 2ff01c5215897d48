/** Contract 11, 16, 17: decorators and static fields where they are written: what may be marked, and with what. */
import { describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { ABORT, bitOf, CLOSE, EOM, NEGOTIABLE, NEGOTIATE } from '#lib/addon/steps.js';
import { Base } from '#lib/filter/base.js';
import { planOf } from '#lib/filter/plan.js';
import { errorWith } from '../support/expect';

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

describe('which methods may be decorated', () => {
  const kinds: readonly (readonly [
    name: string,
    decorator: Mark,
    statics: (handler: string) => object,
    allowed: readonly string[],
  ])[] = [
    ['noreply', Milter.noreply as Mark, (handler) => ({ noreply: [handler] }), NEGOTIABLE_NAMES],
    ['nocallback', Milter.nocallback as Mark, (handler) => ({ nocallback: [handler] }), NEGOTIABLE_NAMES],
    ['borrowed', Milter.borrowed as Mark, (handler) => ({ borrowed: [handler] }), ['body']],
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
      /** @contract 11 */
      it(`${kind} on ${name}: ${good ? 'fine' : 'an error at the definition'}`, () => {
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
            expect(define).toThrow(
              errorWith({
                code: 'ERR_MILTER_BAD_ARGUMENT',
                message: new RegExp(`${kind} is for .*, not for ${name}`),
              }),
            );
          }
        }
      });
    }

    it(`${kind} on a method with a symbol for a name`, () => {
      expect(() => mark(decorator, Symbol('connect'))).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    });

    it(`${kind} as a static field, for a method that the class has not`, () => {
      const handler = allowed[0] as string;
      expect(() => plan(withStatics(statics(handler), []))).toThrow(
        errorWith({
          code: 'ERR_MILTER_BAD_ARGUMENT',
          message: /does not define/,
        }),
      );
    });
  }
});

describe('static fields', () => {
  it.each([
    [{ noreply: 'header' }, /^static noreply of Filter must be an array of names, .* not "header"$/],
    [{ nocallback: [1] }, /^static nocallback of Filter must be an array of names, .* not an array$/],
    [{ borrowed: true }, /^static borrowed of Filter must be an array of names, .* not true$/],
    [{ noreply: null }, /^static noreply of Filter must be an array of names/],
    [{ symlist: ['i'] }, /^static symlist of Filter must be an object, .* not an array$/],
    [
      { symlist: { header: 'i' } },
      /^static symlist of Filter: header must be an array of names, .* not "i"$/,
    ],
    [{ decode: 'bytes' }, /^static decode of Filter must be an object, .* not "bytes"$/],
    [{ immediate: 'no' }, /^static immediate of Filter must be true or false, not "no"$/],
    [{ rejectedRecipients: 1 }, /^static rejectedRecipients of Filter must be true or false, not 1$/],
  ])('of another form are refused: %j', (statics, message) => {
    class Filter extends Milter.Base {}
    Object.defineProperty(Filter.prototype, 'header', { value: () => 0 });
    const error = { code: 'ERR_MILTER_BAD_ARGUMENT', message };
    expect(() => plan(Object.assign(Filter, statics))).toThrow(errorWith(error));
  });
});

/** @contract 16 */
describe('symlist', () => {
  it.each([
    [['a,b,c,d,e,f'], { code: 'ERR_MILTER_BAD_SYMLIST', message: /at most 5 macros, not 6/ }],
    [['a,b c', 'd,,e', ' f'], { code: 'ERR_MILTER_BAD_SYMLIST', message: /at most 5 macros, not 6/ }],
    [
      ['{é}'],
      { code: 'ERR_MILTER_BAD_ARGUMENT', message: /symlist on connect: the name of a macro must be/ },
    ],
    [['a\0'], { code: 'ERR_MILTER_BAD_ARGUMENT', message: /symlist on connect: the name of a macro/ }],
  ])('refuses what setsymlist would refuse in every session: %j', (bad, error) => {
    expect(() => mark(Milter.symlist(...bad) as Mark, 'connect')).toThrow(errorWith(error));
    expect(() => plan(withStatics({ symlist: { connect: bad } }, ['connect']))).toThrow(errorWith(error));
  });

  it('accepts at most 5 macros, as separate strings or in one', () => {
    for (const good of [[], ['a'], ['a', 'b', 'c', 'd', 'e'], ['a b c d e'], [' a  b ', 'c']]) {
      mark(Milter.symlist(...good) as Mark, 'connect');
      plan(withStatics({ symlist: { connect: good } }, ['connect']));
    }
    for (const bad of [['a', 'b', 'c', 'd', 'e', 'f'], ['a b c d e f'], ['a b c', 'd e f']]) {
      const error = { code: 'ERR_MILTER_BAD_SYMLIST' };
      expect(() => mark(Milter.symlist(...bad) as Mark, 'connect')).toThrow(errorWith(error));
      expect(() => plan(withStatics({ symlist: { connect: bad } }, ['connect']))).toThrow(errorWith(error));
    }
  });

  it('knows the stage of each handler', () => {
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
      expect(symlists).toStrictEqual([[stage, ['i', '{x}']]]);
    }
  });
});

/** @contract 17 */
describe('decode', () => {
  it('accepts the known policies and no other', () => {
    for (const policy of ['surrogateescape', 'bytes', 'strict', 'ignore', 'replace'] as const) {
      mark(Milter.decode(policy) as Mark, 'header');
      expect(plan(withStatics({ decode: { header: policy } }, ['header'])).decode.header).toBe(policy);
    }
    for (const wrong of ['latin1', 'utf-8', '', undefined, null, 'STRICT']) {
      const error = { code: 'ERR_MILTER_BAD_ARGUMENT', message: /surrogateescape, bytes/ };
      expect(() => mark(Milter.decode(wrong as 'bytes') as Mark, 'header')).toThrow(errorWith(error));
      expect(() => plan(withStatics({ decode: { header: wrong } }, ['header']))).toThrow(errorWith(error));
    }
  });
});

describe('decorators as a compiler applies them', () => {
  it('may be combined on one method, in any order', () => {
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
    expect(plan(One)).toStrictEqual(plan(Other));
    expect(plan(One).symlists).toStrictEqual([[Milter.M_ENVFROM, ['i']]]);
    expect(plan(One).decode.envfrom).toBe('bytes');
    expect(plan(One).noreply).not.toBe(0);
  });

  it('mean the same as static fields', () => {
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
    expect(plan(Plain)).toStrictEqual(plan(Decorated));
    expect(plan(Plain).immediate).toBe(true);
  });

  it('a decorator of this package is applied outside of those that wrap the method', () => {
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
    expect(plan(Filter).noreply).not.toBe(0);
  });

  it('the decorated method itself is unchanged', () => {
    class Filter extends Base {
      @Milter.noreply
      override hello(): Milter.Answer {
        return Milter.REJECT;
      }
    }
    expect(new Filter().hello()).toBe(Milter.REJECT);
    expect(Filter.prototype.hello.name).toBe('hello');
  });

  it('on eom, abort and close count the step as handled, which negotiate never is', () => {
    const filter = withStatics({}, ['eom', 'abort', 'close', 'negotiate']);
    expect(plan(filter).handled).toBe(bitOf(EOM) | bitOf(ABORT) | bitOf(CLOSE));
    expect(plan(filter).handled & bitOf(NEGOTIATE)).toBe(0);
  });
});
