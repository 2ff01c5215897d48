/** Contract 9: the exception policy by itself. test/integration/exception-policy shows it at work. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ACCEPT, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from 'tsmilter';
import type { Context } from '#lib/session/context.js';
import { type ExceptionPolicy, Exceptions } from '#lib/session/exception-policy.js';
import { errorWith, expectThat } from '../support/expect';

/** A context that takes replies, or has ended. */
function contextThat(setreply: (...args: unknown[]) => void): Context {
  return { setreply } as unknown as Context;
}

/** @contract 9 */
describe('exceptions', () => {
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
      expect(verdict).toBe(policy);
      expect(replies).toStrictEqual(reply ? [reply] : []);
    });
  }

  it('the default is TEMPFAIL, and setPolicy returns the previous policy', () => {
    expect(exceptions.policy).toBe(TEMPFAIL);
    expect(exceptions.setPolicy(REJECT)).toBe(TEMPFAIL);
    expect(exceptions.setPolicy(CONTINUE)).toBe(REJECT);
    expect(exceptions.policy).toBe(CONTINUE);
  });

  it('an invalid policy is rejected, and the previous one stays', () => {
    for (const policy of [DISCARD, NOREPLY, SKIP, 10, -1, 1.5, Number.NaN, '4', null, undefined, {}]) {
      expect(() => exceptions.setPolicy(policy as ExceptionPolicy)).toThrow(
        errorWith({
          code: 'ERR_MILTER_BAD_ARGUMENT',
          message: /TEMPFAIL, REJECT, CONTINUE or ACCEPT/,
        }),
      );
    }
    expect(exceptions.policy).toBe(TEMPFAIL);
  });

  it('a context that accepts no reply any more does not prevent the verdict', () => {
    const verdict = exceptions.apply(
      contextThat(() => {
        throw new Error('bad context');
      }),
    );
    expect(verdict).toBe(TEMPFAIL);
  });

  describe('the name in the reply', () => {
    const text = (name: string) => {
      exceptions.setName(name);
      return exceptions.reply()[2];
    };

    it('is cut to 40 characters', () => {
      expect(text('n'.repeat(40))).toBe(`${'n'.repeat(40)}: untrapped exception`);
      expect(text('n'.repeat(41))).toBe(`${'n'.repeat(40)}: untrapped exception`);
    });

    it('cannot contain a format specifier or a line break', () => {
      expect(text('100% sure')).toBe('100%% sure: untrapped exception');
      expect(text('two\r\nlines')).toBe('two  lines: untrapped exception');
      expect(text('a\0b')).toBe('a b: untrapped exception');
      expect(text('фильтр\x1b\x07')).toBe('??????  : untrapped exception');
      expect(text('\u010d\u010a250 ok')).toBe('??250 ok: untrapped exception');
    });

    it('is never cut within a doubled percent sign or a character', () => {
      expect(text('%'.repeat(50))).toBe(`${'%%'.repeat(40)}: untrapped exception`);
      expectThat(text(`${'n'.repeat(39)}😀`), 'half a character').not.toContain('\ud83d:');
    });
  });

  describe('report', () => {
    let written: jest.SpiedFunction<typeof process.stderr.write>;
    beforeEach(() => {
      written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    });
    afterEach(() => written.mockRestore());
    const lines = () => written.mock.calls.map(([text]) => String(text));

    it('writes name, step and stack to stderr by default', () => {
      exceptions.report(new TypeError('wrong'), 'envfrom');
      expect(lines()).toHaveLength(1);
      expect(lines()[0] as string).toMatch(
        /^name: untrapped exception in envfrom: TypeError: wrong\n {4}at /,
      );
    });

    it('shows any thrown value', () => {
      for (const [thrown, shown] of [
        ['text', 'text'],
        [undefined, 'undefined'],
        [null, 'null'],
        [7, '7'],
        [Symbol('s'), 'Symbol(s)'],
        [{ reason: 'odd' }, "reason: 'odd'"],
      ] as const) {
        exceptions.report(thrown, 'eom');
        expectThat(lines().at(-1)?.includes(shown), lines().at(-1)).toBeTruthy();
      }
      const noStack = new Error('no stack');
      delete noStack.stack;
      exceptions.report(noStack, 'eom');
      expect(lines().at(-1) as string).toMatch(/no stack/);
    });

    it('values that cannot be inspected do not make the report throw', () => {
      const hostile = {
        toString() {
          throw new Error('no');
        },
      };
      exceptions.report(hostile, 'eom');
      exceptions.report(Object.create(null), 'eom');
      expect(lines()).toHaveLength(2);
    });

    it('go only to the hook, if there is one; setHook returns the old one', () => {
      const told: unknown[][] = [];
      const hook = (...args: unknown[]) => void told.push(args);
      expect(exceptions.setHook(hook)).toBeNull();
      const error = new Error('x');
      exceptions.report(error, 'body');
      expect(told).toStrictEqual([[error, 'body']]);
      expect(lines()).toStrictEqual([]);
      expect(exceptions.setHook(null)).toBe(hook);
    });

    it('if an async hook fails, both errors go to stderr and none is unhandled', async () => {
      exceptions.setHook((async () => {
        throw new Error('from the hook');
      }) as () => void);
      exceptions.report(new Error('from the handler'), 'body');
      await new Promise((resolve) => setImmediate(resolve));
      expect(lines()).toHaveLength(2);
    });

    it('writes both errors to stderr if the hook throws', () => {
      exceptions.setHook(() => {
        throw new Error('from the hook');
      });
      exceptions.report(new Error('from the handler'), 'body');
      expect(lines()[0] as string).toMatch(/in the error hook: Error: from the hook/);
      expect(lines()[1] as string).toMatch(/in body: Error: from the handler/);
    });
  });
});
