/** No thread can be created (RLIMIT_NPROC, pids.max of a cgroup): a start fails, a stop works, nothing crashes. */
import { execFileSync } from 'node:child_process';
import { expect, it } from '@jest/globals';
import { attempt, serves, starter } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { describeUnless } from '../support/skip.js';
import { CLEAN_END, type ObservedFilter } from './support/observed-filter.js';

/** A user that has no processes and threads except this test's. */
const UID = 54_321;
const WHY =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'only root on Linux can do that' : false;

/** Sets how many threads the user may have. */
function allowThreads(filter: ObservedFilter, count: number): void {
  execFileSync('prlimit', ['--pid', String(filter.pid), `--nproc=${count}:`], { uid: UID, gid: UID });
}

/** Ends the process, which may create threads again because LeakSanitizer needs one. */
async function finish(filter: ObservedFilter): Promise<void> {
  allowThreads(filter, 1_000);
  filter.tell({ do: 'finish' });
  expect(await filter.ended()).toStrictEqual(CLEAN_END);
}

describeUnless(WHY, 'without threads (RLIMIT_NPROC)', () => {
  it('at the start: an error with a code, and the process continues', async () => {
    await using filter = await starter({ uid: UID });
    allowThreads(filter, 1);
    const told = await attempt(filter);
    expectThat(told.code, JSON.stringify(told)).toBe('ERR_MILTER_MAIN');
    await finish(filter);
  });

  it('at the stop: the filter stops all the same', async () => {
    await using filter = await starter({ uid: UID });
    expect((await attempt(filter)).listening).toBe(true);
    await serves(await filter.open());
    allowThreads(filter, 1);
    filter.child.kill('SIGTERM');
    await filter.event('stopped');
    await finish(filter);
  });
});
