/** The benchmark through real MTAs: that it works, not its figures. */
import { it } from '@jest/globals';
import { unavailable } from '../../tools/mta';
import { runBench } from '../support/bench';
import { expectThat } from '../support/expect';
import { describeUnless } from '../support/skip';

describeUnless(unavailable() ?? false, 'the benchmark', () => {
  for (const [row, other] of [
    ['postfix', 'no filter'],
    ['sendmail', 'no filter'],
    ['sendmail-inet', 'tsmilter, inet'],
  ] as const) {
    it(`measures the row ${row}`, () => {
      const { stderr, row: result } = runBench(row);
      for (const name of ['tsmilter', other]) {
        const found = result.contenders.find((contender) => contender.name === name);
        expectThat(found?.failure, stderr).toBeUndefined();
        expectThat(found?.trials[0]?.perSecond ?? 0, stderr).toBeGreaterThan(0);
      }
    });
  }
});
