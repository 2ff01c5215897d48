/** Contract 9: what counts as a status. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ACCEPT, ALL_OPTS, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from 'tsmilter';
import { STEP_NAMES } from '#lib/addon/steps.js';
import { checkStatus } from '#lib/session/status.js';

describe('contract 9: checkStatus', () => {
  it('every status from every step; SKIP from header and body only', () => {
    for (const step of STEP_NAMES) {
      for (const status of [CONTINUE, REJECT, DISCARD, ACCEPT, TEMPFAIL, NOREPLY]) {
        assert.equal(checkStatus(step, status), status);
      }
      if (step === 'header' || step === 'body') assert.equal(checkStatus(step, SKIP), SKIP);
      else
        assert.throws(() => checkStatus(step, SKIP), {
          code: 'ERR_MILTER_BAD_STATUS',
          message: /only header and body/,
        });
    }
  });

  it('nothing else, and the message shows it', () => {
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
      assert.throws(
        () => checkStatus('envfrom', value),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'ERR_MILTER_BAD_STATUS');
          assert.ok(error.message.startsWith(`envfrom answered ${shown}:`), error.message);
          return true;
        },
      );
    }
  });

  it('minus zero is zero', () => {
    assert.equal(Math.abs(checkStatus('envfrom', -0)), CONTINUE);
  });
});
