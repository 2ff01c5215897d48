/** The benchmark measures what is there, and says what is not: pymilter is no part of what testing installs. */
import { expect, test } from '@jest/globals';
import { runBench } from '../support/bench';
import { expectThat } from '../support/expect';

test('a row is measured for each contender that starts', () => {
  const { status, stderr, row, report } = runBench('one');
  const failed = row.contenders.filter(({ failure }) => failure !== undefined);
  expectThat(
    failed.filter(({ name }) => !name.startsWith('pymilter')),
    stderr,
  ).toStrictEqual([]);
  expectThat(status, stderr).toBe(failed.length > 0 ? 1 : 0);
  for (const { name, trials } of row.contenders.filter((contender) => !failed.includes(contender))) {
    const [figures] = trials;
    if (!figures) throw new Error(`${name} has no trial`);
    const {
      perSecond = 0,
      perMessage = 0,
      p50 = 0,
      p99 = 0,
      cpuPer1000 = -1,
      peakMib = 0,
      startup = 0,
    } = figures;
    expectThat(perSecond, name).toBeGreaterThan(0);
    expectThat(Math.abs(perSecond * perMessage - 1000), name).toBeLessThan(1);
    expectThat(p50, JSON.stringify(figures)).toBeGreaterThan(0);
    expectThat(p99, JSON.stringify(figures)).toBeGreaterThanOrEqual(p50);
    expectThat(cpuPer1000, JSON.stringify(figures)).toBeGreaterThanOrEqual(0);
    expectThat(peakMib, JSON.stringify(figures)).toBeGreaterThan(0);
    expectThat(startup, JSON.stringify(figures)).toBeGreaterThan(0);
  }
  for (const { name } of failed) expect(report).toMatch(new RegExp(`^${name} was not measured: .+`, 'm'));
  expect(report).toMatch(/Library of all filters: libmilter\.so\.\S+\.$/m);
});
