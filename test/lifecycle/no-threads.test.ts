/** No thread is to be had (RLIMIT_NPROC, pids.max of a cgroup): a start fails, a stop goes on, nothing crashes. */
import { execFileSync } from 'node:child_process';
import { expect, it } from '@jest/globals';
import { attempt, serves, starter } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { describeUnless } from '../support/skip.js';
import { CLEAN_END, type FilterProcess } from './support/filter-process.js';

/** A user whose processes and threads are this test's alone. */
const UID = 54_321;
const WHY =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'only root on Linux can do that' : false;

/** How many threads the user may have from now on. */
function allowThreads(filter: FilterProcess, count: number): void {
  execFileSync('prlimit', ['--pid', String(filter.pid), `--nproc=${count}:`], { uid: UID, gid: UID });
}

/** Ends the process, which may have threads again: LeakSanitizer wants one. */
async function finish(filter: FilterProcess): Promise<void> {
  allowThreads(filter, 1_000);
  filter.tell({ do: 'finish' });
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
}

describeUnless(WHY, 'no thread is to be had', () => {
  it('at the start: an error with a code, and the process goes on', async () => {
    await using filter = await starter({ uid: UID });
    allowThreads(filter, 1);
    const told = await attempt(filter);
    expectThat(told.code, JSON.stringify(told)).toBe('ERR_MILTER_MAIN');
    await finish(filter);
  });

  it('at the stop: it stops as ever', async () => {
    await using filter = await starter({ uid: UID });
    expect((await attempt(filter)).listening).toBe(true);
    await serves(await filter.open());
    allowThreads(filter, 1);
    const begin = performance.now();
    filter.child.kill('SIGTERM');
    await filter.event('stopped');
    expect(performance.now() - begin).toBeLessThan(5_000);
    await finish(filter);
  });
});
