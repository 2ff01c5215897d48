/** The benchmark measures what is there, and says what is not: pymilter is no part of what testing installs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBench } from '../support/bench';

test('a row is measured, for each contender that starts', () => {
  const { status, stderr, row, report } = runBench('one');
  const failed = row.contenders.filter(({ failure }) => failure !== undefined);
  assert.deepEqual(
    failed.filter(({ name }) => !name.startsWith('pymilter')),
    [],
    stderr,
  );
  assert.equal(status, failed.length > 0 ? 1 : 0, stderr);
  for (const { name, trials } of row.contenders.filter((contender) => !failed.includes(contender))) {
    const [figures] = trials;
    assert.ok(figures, `${name} has a trial`);
    const {
      perSecond = 0,
      perMessage = 0,
      p50 = 0,
      p99 = 0,
      cpuPer1000 = -1,
      peakMib = 0,
      startup = 0,
    } = figures;
    assert.ok(perSecond > 0 && Math.abs(perSecond * perMessage - 1000) < 1, name);
    assert.ok(
      p50 > 0 && p99 >= p50 && cpuPer1000 >= 0 && peakMib > 0 && startup > 0,
      JSON.stringify(figures),
    );
  }
  for (const { name } of failed) assert.match(report, new RegExp(`^${name} was not measured: .+`, 'm'));
  assert.match(report, /All filters on libmilter\.so\.\S+\.$/m);
});
