/** No thread is to be had (RLIMIT_NPROC, pids.max of a cgroup): a start fails, a stop goes on, nothing crashes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { attempt, serves, starter } from '../fixtures/lifecycle/starter.js';
import { CLEAN_END, type FilterProcess } from './support/filter-process.js';

/** A user whose processes and threads are this test's alone. */
const UID = 54_321;
const WHY =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'only root on Linux can do that' : false;

/** From now on the process gets no further thread. */
function refuseThreads(filter: FilterProcess): void {
  execFileSync('prlimit', ['--pid', String(filter.pid), '--nproc=1:1'], { uid: UID, gid: UID });
}

describe('no thread is to be had', { skip: WHY }, () => {
  it('at the start: an error with a code, and the process goes on', async () => {
    await using filter = await starter({ uid: UID });
    refuseThreads(filter);
    const told = await attempt(filter);
    assert.equal(told.code, 'ERR_MILTER_MAIN', JSON.stringify(told));
    filter.tell({ do: 'finish' });
    assert.deepEqual(await filter.ended(), CLEAN_END);
  });

  it('at the stop: it stops as ever', async () => {
    await using filter = await starter({ uid: UID });
    assert.equal((await attempt(filter)).listening, true);
    await serves(await filter.open());
    refuseThreads(filter);
    filter.tell({ do: 'finish' });
    const begin = performance.now();
    assert.deepEqual(await filter.stop(), CLEAN_END);
    assert.ok(performance.now() - begin < 5_000);
    assert.equal(filter.count('stopped'), 1);
  });
});
