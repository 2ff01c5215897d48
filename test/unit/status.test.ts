/** Contract 9: what counts as a status. */
import { describe, expect, it } from '@jest/globals';
import { ACCEPT, ALL_OPTS, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from 'tsmilter';
import { STEP_NAMES } from '#lib/addon/steps.js';
import { checkStatus } from '#lib/session/status.js';
import { errorWith } from '../support/expect';

/** @contract 9 */
describe('checkStatus', () => {
  it('accepts every status from every step, but SKIP only from header and body', () => {
    for (const step of STEP_NAMES) {
      for (const status of [CONTINUE, REJECT, DISCARD, ACCEPT, TEMPFAIL, NOREPLY]) {
        expect(checkStatus(step, status)).toBe(status);
      }
      if (step === 'header' || step === 'body') expect(checkStatus(step, SKIP)).toBe(SKIP);
      else
        expect(() => checkStatus(step, SKIP)).toThrow(
          errorWith({
            code: 'ERR_MILTER_BAD_STATUS',
            message: /only header and body/,
          }),
        );
    }
  });

  it('rejects any other value, which the message shows', () => {
    const wrong: [value: unknown, shown: string][] = [
      [undefined, 'undefined'],
      [null, 'null'],
      [ALL_OPTS, '10'],
      [5, '5'],
      [6, '6'],
      [9, '9'],
      [-1, '-1'],
      [0.5, '0.5'],
      [Number.NaN, 'NaN'],
      [Number.POSITIVE_INFINITY, 'Infinity'],
      ['CONTINUE', 'CONTINUE'],
      ['0', '0'],
      [true, 'true'],
      [0n, '0'],
      [{}, 'an object'],
      [[], 'an object'],
      [Object(0), 'an object'],
      [Symbol('x'), 'Symbol(x)'],
      [Object.create(null), 'an object'],
    ];
    for (const [value, shown] of wrong) {
      const check = () => checkStatus('envfrom', value);
      const begin = new RegExp(`^envfrom answered ${shown.replace(/[()]/g, '\\$&')}:`);
      expect(check).toThrow(errorWith({ code: 'ERR_MILTER_BAD_STATUS', message: begin }));
    }
  });

  it('treats minus zero as zero', () => {
    expect(Math.abs(checkStatus('envfrom', -0))).toBe(CONTINUE);
  });
});
