/** Contract 6: the callback setters of tsmilter/lowlevel, before anything is registered. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as lowlevel from 'tsmilter/lowlevel';
import { STEP_NAMES } from '#lib/addon/steps.js';

type Setter = (callback: unknown) => unknown;

const SETTERS = STEP_NAMES.map((name): [string, Setter] => {
  const setter = `set${name[0]?.toUpperCase()}${name.slice(1)}Callback`;
  return [setter, (lowlevel as unknown as Record<string, Setter>)[setter] as Setter];
});

describe('contract 6: tsmilter/lowlevel setters', () => {
  for (const [name, set] of SETTERS) {
    it(`${name} returns the callback that it replaces; null unsets`, () => {
      const first = () => lowlevel.CONTINUE;
      const second = () => lowlevel.CONTINUE;
      assert.equal(set(first), null);
      assert.equal(set(second), first);
      assert.equal(set(second), second);
      assert.equal(set(null), second);
      assert.equal(set(null), null);
    });

    it(`${name} refuses what is no function, and keeps what there was`, () => {
      const callback = () => lowlevel.CONTINUE;
      set(callback);
      for (const wrong of [undefined, 7, 'f', {}, true]) {
        assert.throws(() => set(wrong), { code: 'ERR_MILTER_BAD_ARGUMENT' });
      }
      assert.equal(set(null), callback);
    });
  }

  it('one for each step', () => {
    const found = Object.keys(lowlevel).filter((name) => /^set.*Callback$/.test(name));
    assert.deepEqual(found.sort(), SETTERS.map(([name]) => name).sort());
  });

  it('setExceptionPolicy, setErrorHook and setFlags return what they replace', () => {
    assert.equal(lowlevel.setExceptionPolicy(lowlevel.REJECT), lowlevel.TEMPFAIL);
    assert.equal(lowlevel.setExceptionPolicy(lowlevel.TEMPFAIL), lowlevel.REJECT);
    const hook = () => {};
    assert.equal(lowlevel.setErrorHook(hook), null);
    assert.equal(lowlevel.setErrorHook(null), hook);
    assert.equal(lowlevel.setFlags(lowlevel.ADDHDRS), lowlevel.CURR_ACTS);
    assert.equal(lowlevel.setFlags(lowlevel.CURR_ACTS), lowlevel.ADDHDRS);
  });

  it('getdiag before anything ran; stop where nothing runs', async () => {
    assert.deepEqual(lowlevel.getdiag(), [0, 0]);
    await lowlevel.stop();
  });
});
