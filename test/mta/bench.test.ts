/** The benchmark through real MTAs: that it works, not what comes out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unavailable } from '../../tools/mta';
import { runBench } from '../support/bench';

describe('the benchmark', { skip: unavailable() ?? false }, () => {
  for (const [row, other] of [
    ['postfix', 'no filter'],
    ['sendmail', 'no filter'],
    ['sendmail-inet', 'tsmilter, inet'],
  ] as const) {
    it(`measures the row ${row}`, () => {
      const { stderr, row: result } = runBench(row);
      for (const name of ['tsmilter', other]) {
        const found = result.contenders.find((contender) => contender.name === name);
        assert.equal(found?.failure, undefined, stderr);
        assert.ok((found?.trials[0]?.perSecond ?? 0) > 0, stderr);
      }
    });
  }
});
