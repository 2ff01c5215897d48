/** Contract 9: the exception policy by itself. test/integration/exception-policy shows it at work. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, type Mock, mock } from 'node:test';
import { ACCEPT, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from 'tsmilter';
import type { Context } from '#lib/session/context.js';
import { type ExceptionPolicy, Exceptions } from '#lib/session/exception-policy.js';

/** A context that takes replies, or has ended. */
function contextThat(setreply: (...args: unknown[]) => void): Context {
  return { setreply } as unknown as Context;
}

describe('contract 9: exceptions', () => {
  let exceptions: Exceptions;
  beforeEach(() => {
    exceptions = new Exceptions();
    exceptions.setName('name');
  });

  const TEXT = 'name: untrapped exception';
  const cases: readonly (readonly [policy: ExceptionPolicy, reply: unknown[] | null])[] = [
    [TEMPFAIL, ['451', '4.3.0', TEXT]],
    [REJECT, ['554', '5.3.0', TEXT]],
    [CONTINUE, null],
    [ACCEPT, null],
  ];
  for (const [policy, reply] of cases) {
    it(`policy ${policy}: the verdict, and ${reply ? reply.join(' ') : 'no text'}`, () => {
      exceptions.setPolicy(policy);
      const replies: unknown[][] = [];
      const verdict = exceptions.apply(contextThat((...args) => replies.push(args)));
      assert.equal(verdict, policy);
      assert.deepEqual(replies, reply ? [reply] : []);
    });
  }

  it('TEMPFAIL is the default; setPolicy returns the old one', () => {
    assert.equal(exceptions.policy, TEMPFAIL);
    assert.equal(exceptions.setPolicy(REJECT), TEMPFAIL);
    assert.equal(exceptions.setPolicy(CONTINUE), REJECT);
    assert.equal(exceptions.policy, CONTINUE);
  });

  it('any other policy is refused, and the old one stays', () => {
    for (const policy of [DISCARD, NOREPLY, SKIP, 10, -1, 1.5, Number.NaN, '4', null, undefined, {}]) {
      assert.throws(() => exceptions.setPolicy(policy as ExceptionPolicy), {
        code: 'ERR_MILTER_BAD_ARGUMENT',
        message: /TEMPFAIL, REJECT, CONTINUE or ACCEPT/,
      });
    }
    assert.equal(exceptions.policy, TEMPFAIL);
  });

  it('a context that takes no reply any more does not keep the verdict back', () => {
    const verdict = exceptions.apply(
      contextThat(() => {
        throw new Error('bad context');
      }),
    );
    assert.equal(verdict, TEMPFAIL);
  });

  describe('the name in the reply', () => {
    const text = (name: string) => {
      exceptions.setName(name);
      return exceptions.reply()[2];
    };

    it('is cut to 40 characters', () => {
      assert.equal(text('n'.repeat(40)), `${'n'.repeat(40)}: untrapped exception`);
      assert.equal(text('n'.repeat(41)), `${'n'.repeat(40)}: untrapped exception`);
    });

    it('is no format and no second line', () => {
      assert.equal(text('100% sure'), '100%% sure: untrapped exception');
      assert.equal(text('two\r\nlines'), 'two  lines: untrapped exception');
      assert.equal(text('a\0b'), 'a b: untrapped exception');
    });

    it('is not cut within a doubled percent sign, nor within a character', () => {
      assert.equal(text('%'.repeat(50)), `${'%%'.repeat(40)}: untrapped exception`);
      assert.equal(text(`${'n'.repeat(39)}😀`).includes('\ud83d:'), false, 'half a character');
    });
  });

  describe('report', () => {
    let written: Mock<typeof process.stderr.write>;
    beforeEach(() => {
      written = mock.method(process.stderr, 'write', () => true);
    });
    afterEach(() => written.mock.restore());
    const lines = () => written.mock.calls.map(({ arguments: [text] }) => String(text));

    it('to stderr by default, with name, step and stack', () => {
      exceptions.report(new TypeError('wrong'), 'envfrom');
      assert.equal(lines().length, 1);
      assert.match(lines()[0] as string, /^name: untrapped exception in envfrom: TypeError: wrong\n {4}at /);
    });

    it('whatever was thrown', () => {
      for (const [thrown, shown] of [
        ['text', 'text'],
        [undefined, 'undefined'],
        [null, 'null'],
        [7, '7'],
        [Symbol('s'), 'Symbol(s)'],
        [{ reason: 'odd' }, "reason: 'odd'"],
      ] as const) {
        exceptions.report(thrown, 'eom');
        assert.ok(lines().at(-1)?.includes(shown), lines().at(-1));
      }
      const noStack = new Error('no stack');
      delete noStack.stack;
      exceptions.report(noStack, 'eom');
      assert.match(lines().at(-1) as string, /no stack/);
    });

    it('what cannot even be shown does not throw', () => {
      const hostile = {
        toString() {
          throw new Error('no');
        },
      };
      exceptions.report(hostile, 'eom');
      exceptions.report(Object.create(null), 'eom');
      assert.equal(lines().length, 2);
    });

    it('to the hook alone, where there is one; setHook returns the old one', () => {
      const told: unknown[][] = [];
      const hook = (...args: unknown[]) => void told.push(args);
      assert.equal(exceptions.setHook(hook), null);
      const error = new Error('x');
      exceptions.report(error, 'body');
      assert.deepEqual(told, [[error, 'body']]);
      assert.deepEqual(lines(), []);
      assert.equal(exceptions.setHook(null), hook);
    });

    it('an async hook that fails: both errors to stderr, none of them unhandled', async () => {
      exceptions.setHook((async () => {
        throw new Error('from the hook');
      }) as () => void);
      exceptions.report(new Error('from the handler'), 'body');
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(lines().length, 2);
    });

    it('a hook that throws: both errors to stderr', () => {
      exceptions.setHook(() => {
        throw new Error('from the hook');
      });
      exceptions.report(new Error('from the handler'), 'body');
      assert.match(lines()[0] as string, /in the error hook: Error: from the hook/);
      assert.match(lines()[1] as string, /in body: Error: from the handler/);
    });
  });
});
