/** Contract 6: the callback setters of tsmilter/lowlevel, before anything is registered. */
import { describe, expect, it } from '@jest/globals';
import * as lowlevel from 'tsmilter/lowlevel';
import { STEP_NAMES } from '#lib/addon/steps.js';
import { errorWith } from '../support/expect';

type Setter = (callback: unknown) => unknown;

const SETTERS = STEP_NAMES.map((name): [string, Setter] => {
  const setter = `set${name[0]?.toUpperCase()}${name.slice(1)}Callback`;
  return [setter, (lowlevel as unknown as Record<string, Setter>)[setter] as Setter];
});

/** @contract 6 */
describe('tsmilter/lowlevel setters', () => {
  for (const [name, set] of SETTERS) {
    it(`${name} returns the callback that it replaces; null unsets`, () => {
      const first = () => lowlevel.CONTINUE;
      const second = () => lowlevel.CONTINUE;
      expect(set(first)).toBeNull();
      expect(set(second)).toBe(first);
      expect(set(second)).toBe(second);
      expect(set(null)).toBe(second);
      expect(set(null)).toBeNull();
    });

    it(`${name} refuses values that are not functions, and keeps the old one`, () => {
      const callback = () => lowlevel.CONTINUE;
      set(callback);
      for (const wrong of [undefined, 7, 'f', {}, true]) {
        expect(() => set(wrong)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
      }
      expect(set(null)).toBe(callback);
    });
  }

  it('there is one setter for each step', () => {
    const found = Object.keys(lowlevel).filter((name) => /^set.*Callback$/.test(name));
    expect(found.sort()).toStrictEqual(SETTERS.map(([name]) => name).sort());
  });

  it('setExceptionPolicy, setErrorHook and setFlags return what they replace', () => {
    expect(lowlevel.setExceptionPolicy(lowlevel.REJECT)).toBe(lowlevel.TEMPFAIL);
    expect(lowlevel.setExceptionPolicy(lowlevel.TEMPFAIL)).toBe(lowlevel.REJECT);
    const hook = () => {};
    expect(lowlevel.setErrorHook(hook)).toBeNull();
    expect(lowlevel.setErrorHook(null)).toBe(hook);
    expect(lowlevel.setFlags(lowlevel.ADDHDRS)).toBe(lowlevel.CURR_ACTS);
    expect(lowlevel.setFlags(lowlevel.CURR_ACTS)).toBe(lowlevel.ADDHDRS);
  });

  it('getdiag before a filter has run; stop while none runs', async () => {
    expect(lowlevel.getdiag()).toStrictEqual([0, 0]);
    await lowlevel.stop();
  });
});
