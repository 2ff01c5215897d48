/** Contract 4, 5, 10, 14, 15, 16: the checks of a context, on a backend that only takes notes. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  ADDHDRS,
  ADDRCPT,
  ADDRCPT_PAR,
  CHGBODY,
  CHGFROM,
  CHGHDRS,
  DELRCPT,
  DisabledAction,
  M_CONNECT,
  M_EOH,
  MilterError,
  QUARANTINE,
  SETSYMLIST,
} from 'tsmilter';
import { ActionKind } from '#lib/addon/kinds.js';
import { CLOSE, CONNECT, EOM, HEADER, NEGOTIATE, STEP_NAMES } from '#lib/addon/steps.js';
import { type Backend, Context } from '#lib/session/context.js';
import { errorWith } from '../support/expect';

/** Notes what it is asked for; `gone` once the MTA is not waiting any more. */
class Recorder implements Backend {
  readonly calls: unknown[][] = [];
  readonly macros: Record<string, string> = { i: 'Q1' };
  gone = false;
  refuses = false;

  getsymval(name: string): string | null | undefined {
    return this.gone ? undefined : (this.macros[name] ?? null);
  }

  setreply(...args: unknown[]): boolean | undefined {
    return this.#note('setreply', args);
  }

  setsymlist(...args: unknown[]): boolean | undefined {
    return this.#note('setsymlist', args);
  }

  queue(...args: unknown[]): boolean {
    return this.#note('queue', args) ?? false;
  }

  #note(method: string, args: unknown[]): boolean | undefined {
    if (this.gone) return undefined;
    this.calls.push([method, ...args]);
    return !this.refuses;
  }
}

describe('Context', () => {
  let backend: Recorder;
  let context: Context;
  beforeEach(() => {
    backend = new Recorder();
    context = new Context(backend);
    context.enter(EOM);
  });

  type Action = readonly [title: string, right: number, act: (context: Context) => void, queued: unknown[]];
  const ACTIONS: readonly Action[] = [
    ['addheader', ADDHDRS, (c) => c.addheader('X', 'v'), [ActionKind.addheader, 0, 'X', 'v']],
    ['addheader at 0', ADDHDRS, (c) => c.addheader('X', 'v', 0), [ActionKind.insheader, 0, 'X', 'v']],
    ['addheader at 7', ADDHDRS, (c) => c.addheader('X', 'v', 7), [ActionKind.insheader, 7, 'X', 'v']],
    ['chgheader', CHGHDRS, (c) => c.chgheader('X', 2, 'v'), [ActionKind.chgheader, 2, 'X', 'v']],
    ['chgheader null', CHGHDRS, (c) => c.chgheader('X', 2, null), [ActionKind.chgheader, 2, 'X', '']],
    ["chgheader ''", CHGHDRS, (c) => c.chgheader('X', 2, ''), [ActionKind.chgheader, 2, 'X', '']],
    ['addrcpt', ADDRCPT, (c) => c.addrcpt('<a@b>'), [ActionKind.addrcpt, 0, '<a@b>', null]],
    ['addrcpt null', ADDRCPT, (c) => c.addrcpt('<a@b>', null), [ActionKind.addrcpt, 0, '<a@b>', null]],
    [
      'addrcpt with',
      ADDRCPT_PAR,
      (c) => c.addrcpt('<a@b>', 'X=1'),
      [ActionKind.addrcptPar, 0, '<a@b>', 'X=1'],
    ],
    ['delrcpt', DELRCPT, (c) => c.delrcpt('<a@b>'), [ActionKind.delrcpt, 0, '<a@b>', null]],
    ['replacebody', CHGBODY, (c) => c.replacebody('text'), [ActionKind.replacebody, 0, 'text', null]],
    ['chgfrom', CHGFROM, (c) => c.chgfrom('<a@b>'), [ActionKind.chgfrom, 0, '<a@b>', null]],
    ['chgfrom with', CHGFROM, (c) => c.chgfrom('<a@b>', 'X=1'), [ActionKind.chgfrom, 0, '<a@b>', 'X=1']],
    ['quarantine', QUARANTINE, (c) => c.quarantine('why'), [ActionKind.quarantine, 0, 'why', null]],
    ['progress', 0, (c) => c.progress(), [ActionKind.progress, 0, '', null]],
  ];

  for (const [title, right, act, queued] of ACTIONS) {
    describe(title, () => {
      it('is queued unchanged in eom', () => {
        act(context);
        expect(backend.calls).toStrictEqual([['queue', ...queued]]);
      });

      /** @contract 14 */
      it('throws DisabledAction without its right, and queues nothing', () => {
        context.actions = 0xffffffff & ~right;
        if (right === 0) {
          act(context);
          return;
        }
        expect(() => act(context)).toThrow(
          errorWith(
            { name: 'DisabledAction', code: 'ERR_MILTER_DISABLED_ACTION', message: /setFlags/ },
            DisabledAction,
          ),
        );
        expect(DisabledAction.prototype).toBeInstanceOf(MilterError);
        expect(backend.calls).toStrictEqual([]);
      });

      it('outside eom it throws ERR_MILTER_NOT_IN_EOM', () => {
        for (const [step, name] of STEP_NAMES.entries()) {
          if (step === EOM) continue;
          context.enter(step);
          expect(() => act(context)).toThrow(
            errorWith({
              code: 'ERR_MILTER_NOT_IN_EOM',
              message: new RegExp(`in eom only, not in ${name}`),
            }),
          );
        }
        expect(backend.calls).toStrictEqual([]);
      });

      /** @contract 4 */
      it('ERR_MILTER_BAD_CONTEXT if the MTA does not wait: before, after, and when the backend says so', () => {
        const bad = { code: 'ERR_MILTER_BAD_CONTEXT', message: /bad context/ };
        expect(() => act(new Context(backend))).toThrow(errorWith(bad));
        backend.gone = true;
        expect(() => act(context)).toThrow(errorWith(bad));
        backend.gone = false;
        context.interrupt(new MilterError('ERR_MILTER_HANDLER_TIMEOUT', 'late'));
        expect(() => act(context)).toThrow(errorWith(bad));
        context.enter(EOM);
        act(context);
        context.detach();
        expect(() => act(context)).toThrow(errorWith(bad));
        context.end();
        expect(() => act(context)).toThrow(errorWith(bad));
        expect(backend.calls).toHaveLength(1);
      });
    });
  }

  /** @contract 14 */
  it('addrcpt with parameters also needs the right ADDRCPT', () => {
    context.actions = 0xffffffff & ~ADDRCPT;
    expect(() => context.addrcpt('<a@b>', 'X=1')).toThrow(DisabledAction);
  });

  it('replacebody accepts any kind of byte array unchanged', () => {
    const bytes = Uint8Array.of(0, 255);
    context.replacebody(bytes);
    context.replacebody(Buffer.from('x'));
    expect((backend.calls[0] as unknown[])[3]).toBe(bytes);
    expect(backend.calls).toHaveLength(2);
  });

  /** @contract 16 */
  describe('setsymlist', () => {
    const bad = { code: 'ERR_MILTER_BAD_SYMLIST' };
    beforeEach(() => context.enter(NEGOTIATE));

    it('accepts each of the seven stages once', () => {
      for (let stage = M_CONNECT; stage <= M_EOH; stage++) context.setsymlist(stage, 'i', '{x}');
      expect(backend.calls).toStrictEqual(
        Array.from({ length: 7 }, (_, stage) => ['setsymlist', stage, 'i {x}']),
      );
      for (let stage = M_CONNECT; stage <= M_EOH; stage++)
        expect(() => context.setsymlist(stage, 'j')).toThrow(errorWith(bad));
      expect(backend.calls).toHaveLength(7);
    });

    it('at most 5 macros, in any number of strings', () => {
      context.setsymlist(0, ' a  b', 'c\td', 'e ');
      expect(backend.calls).toStrictEqual([['setsymlist', 0, 'a b c d e']]);
      expect(() => context.setsymlist(1, 'a b c', 'd e f')).toThrow(errorWith(bad));
      expect(() => context.setsymlist(1, 'a,b,c', 'd,e\nf')).toThrow(errorWith(bad));
      expect(() => context.setsymlist(1, 'a', 'b', 'c', 'd', 'e', 'f')).toThrow(errorWith(bad));
      expect(backend.calls).toHaveLength(1);
      context.setsymlist(1, 'a,b\n{c},', '\r\nd');
      expect(backend.calls.at(-1)).toStrictEqual(['setsymlist', 1, 'a b {c} d']);
    });

    it('throws outside negotiate', () => {
      for (const step of STEP_NAMES.keys()) {
        if (step === NEGOTIATE) continue;
        context.enter(step);
        expect(() => context.setsymlist(0, 'i')).toThrow(errorWith(bad));
      }
    });

    it('throws "bad context" once the session has ended', () => {
      context.detach();
      expect(() => context.setsymlist(0, 'i')).toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
      context.end();
      expect(() => context.setsymlist(0, 'i')).toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
    });

    it('may be called again for a stage whose list libmilter refused', () => {
      backend.refuses = true;
      expect(() => context.setsymlist(0, 'i')).toThrow(errorWith(bad));
      backend.refuses = false;
      context.setsymlist(0, 'i');
    });

    it('needs its right once rights are negotiated', () => {
      context.actions = 0xffffffff & ~SETSYMLIST;
      expect(() => context.setsymlist(0, 'i')).toThrow(DisabledAction);
    });

    it('rejects a stage out of range', () => {
      for (const stage of [-1, 7, 1.5, Number.NaN, '0', undefined]) {
        expect(() => context.setsymlist(stage as number, 'i')).toThrow(
          errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
        );
      }
    });
  });

  /** @contract 10 */
  describe('setreply', () => {
    it('passes codes and lines on', () => {
      context.enter(HEADER);
      context.setreply('550', '5.7.1', 'one', 'two');
      context.setreply('450');
      context.setreply('450', null, null);
      expect(backend.calls).toStrictEqual([
        ['setreply', '550', '5.7.1', ['one', 'two']],
        ['setreply', '450', null, []],
        ['setreply', '450', null, []],
      ]);
    });

    it('throws in negotiate, and a later reply is none of it', () => {
      context.enter(NEGOTIATE);
      const refused = { code: 'ERR_MILTER_BAD_REPLY', message: /not in negotiate/ };
      expect(() => context.setreply('550', '5.7.1', 'too early')).toThrow(errorWith(refused));
      expect(() => context.setReplyText('550', '5.7.1', 'too early')).toThrow(errorWith(refused));
      expect(backend.calls).toStrictEqual([]);
    });

    it('throws for a reply that libmilter refuses', () => {
      backend.refuses = true;
      expect(() => context.setreply('550', '5.7.1', 'x')).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_REPLY' }),
      );
    });

    it('an invalid one is refused first, in any state of the context', () => {
      context.end();
      expect(() => context.setreply('250')).toThrow(errorWith({ code: 'ERR_MILTER_BAD_REPLY' }));
      expect(() => context.setreply('550')).toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
    });
  });

  it('getsymval returns the value or null, or throws "bad context"', () => {
    context.enter(CONNECT);
    expect(context.getsymval('i')).toBe('Q1');
    expect(context.getsymval('{none}')).toBeNull();
    backend.gone = true;
    expect(() => context.getsymval('i')).toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
  });

  /** @contract 5 */
  it('setpriv returns the old value, and getpriv and setpriv work until the session has ended', () => {
    expect(context.getpriv()).toBeNull();
    expect(context.setpriv('a')).toBeNull();
    expect(context.setpriv('b')).toBe('a');
    context.detach();
    context.enter(CLOSE);
    expect(context.getpriv()).toBe('b');
    expect(context.setpriv(null)).toBe('b');
    context.end();
    expect(() => context.getpriv()).toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
    expect(() => context.setpriv(1)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_CONTEXT' }));
  });

  describe('signal', () => {
    it('is the same signal until it is aborted, with the reason', () => {
      const { signal } = context;
      expect(context.signal).toBe(signal);
      const reason = new MilterError('ERR_MILTER_HANDLER_TIMEOUT', 'late');
      context.interrupt(reason);
      expect(signal.aborted).toBe(true);
      expect(signal.reason).toBe(reason);
      expect(context.signal.aborted).toBe(false);
    });

    it('is aborted at the end of the session', () => {
      const { signal } = context;
      context.detach();
      expect(signal.aborted).toBe(true);
      expect((signal.reason as MilterError).code).toBe('ERR_MILTER_BAD_CONTEXT');
    });

    it('is already aborted if first read after the end of the session', () => {
      context.detach();
      expect(context.signal.aborted).toBe(true);
    });
  });
});
