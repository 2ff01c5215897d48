/**
 * No thread can be created (RLIMIT_NPROC, pids.max of a cgroup, no address space left): a start fails, a stop works, sessions for
 * which there is no thread are told to come later, nothing crashes.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { TIMEOUT, until } from '../../tools/wait.js';
import { attempt, serves, starter } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { describeUnless } from '../support/skip.js';
import { unwatched } from '../support/unwatched.js';
import { openFiles } from './support/descriptors.js';
import { CLEAN_END, ObservedFilter } from './support/observed-filter.js';

/** A user that has no processes and threads except this test's: those of other test files, and of other runs, would count. */
const UID = 100_000 + process.pid;
/** Threads that the filter may create for sessions. */
const THREADS = 24;
/** Many more than there are threads for. */
const SESSIONS = 40;
const WHY =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'only root on Linux can do that' : false;

/**
 * Sets how many threads the user may have. A sanitizer must not watch that: one that cannot reach its reports, in a checkout
 * that is closed to the user, may end prlimit with exit code 0 before it has done anything.
 */
function allowThreads(filter: ObservedFilter, count: number): void {
  execFileSync('prlimit', ['--pid', String(filter.pid), `--nproc=${count}:`], {
    uid: UID,
    gid: UID,
    env: unwatched,
  });
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

  it('while handlers wait: further sessions get TEMPFAIL at once, and no connection is left', async () => {
    await using filter = await ObservedFilter.start({ uid: UID });
    const count = (what: 'task' | 'fd') => readdirSync(`/proc/${filter.pid}/${what}`).length;
    await serves(await filter.open());
    const [descriptors, threads] = [count('fd'), count('task')];
    allowThreads(filter, threads + THREADS);
    const verdicts: string[] = [];
    const waiting: Promise<unknown>[] = [];
    for (let i = 0; i < SESSIONS; i++) {
      const session = await filter.open();
      const { verdict } = await session.connect('park.hello', { family: 'unknown' });
      verdicts.push(verdict);
      if (verdict === 'continue') {
        waiting.push(session.helo('client.example').then(() => session.quit()));
        await filter.event('parked', undefined, waiting.length);
      } else await session.close();
    }
    // Not in this order: a thread that is idle, or helps with the start, may end meanwhile, and makes room for another session.
    expect(new Set(verdicts)).toStrictEqual(new Set(['continue', 'tempfail']));
    expectThat(waiting.length, `${verdicts}`).toBeGreaterThan(4);
    expectThat(waiting.length, `${verdicts}`).toBeLessThan(SESSIONS - 5);
    filter.tell({ do: 'release' });
    await Promise.all(waiting);
    await until(
      'all connections closed',
      () => count('fd') <= descriptors,
      TIMEOUT,
      () => openFiles(filter.pid).join(', '),
    );
    allowThreads(filter, 1_000);
    await serves(await filter.open());
    expect(await filter.stop()).toStrictEqual(CLEAN_END);
  });
});
