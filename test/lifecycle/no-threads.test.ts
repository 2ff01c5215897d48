/**
 * No thread can be created (RLIMIT_NPROC, pids.max of a cgroup, no address space left): a start fails, a stop works, sessions for
 * which there is no thread are told to come later, nothing crashes.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import type { MtaSession } from 'tsmilter/testing';
import { TIMEOUT, until } from '../../tools/wait.js';
import { attempt, serves, starter } from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { describeUnless } from '../support/skip.js';
import { unwatched } from '../support/unwatched.js';
import { openFiles } from './support/descriptors.js';
import { goodMessage, greet } from './support/messages.js';
import { CLEAN_END, ObservedFilter, type Told } from './support/observed-filter.js';

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

  it('for the workers: the start is refused with a code', async () => {
    await using filter = await starter({ uid: UID });
    allowThreads(filter, 1);
    const module = join(__dirname, '../fixtures/workers/filter.js');
    const { code, message } = await attempt(filter, { factory: 'none', run: { module } });
    expect(code).toBe('ERR_MILTER_WORKER');
    expect(message).toMatch(/^worker 1 \(.*\) could not be started: /);
    await finish(filter);
  });

  it('for the replacement of a worker: it is reported and tried again, and the other workers serve', async () => {
    await using filter = await ObservedFilter.start({ fixture: '../workers/host', uid: UID });
    const sessions = await Promise.all([1, 2].map(() => filter.open()));
    for (const session of sessions) await greet(session);
    const threads: string[] = [];
    for (const session of sessions) threads.push(await threadOf(session));
    allowThreads(filter, 1);
    filter.tell({ do: 'terminate', value: Number(threads[0]) });
    const failed = ({ message }: Told) => /^worker \d \(.*\) could not be started: /.test(String(message));
    const error = await filter.event('error', failed, 2);
    expect([error.code, error.step]).toStrictEqual(['ERR_MILTER_WORKER', 'a worker']);
    expect(error.cause).toMatchObject({ code: 'ERR_WORKER_INIT_FAILED' });
    expect(await threadOf(sessions[1] as MtaSession)).toBe(threads[1]);

    allowThreads(filter, 1_000);
    await filter.event('loaded', undefined, 3);
    await Promise.all(sessions.map((session) => session.close()));
    expectThat(await filter.stop(), filter.state()).toStrictEqual(CLEAN_END);
  });

  it('for the replacement of a worker: a stop ends the wait for one', async () => {
    await using filter = await ObservedFilter.start({
      fixture: '../workers/host',
      uid: UID,
      run: { workers: 1 },
    });
    const { thread } = await filter.event('worker');
    allowThreads(filter, 1);
    filter.tell({ do: 'terminate', value: thread as number });
    await filter.event('error', undefined, 3);
    allowThreads(filter, 1_000); // for LeakSanitizer, at the end that follows the stop
    filter.child.kill('SIGTERM');
    await filter.event('stopped');
    expectThat(await filter.ended(), filter.state()).toStrictEqual(CLEAN_END);
  });
});

/** The thread that answers the session's message. */
async function threadOf(session: MtaSession): Promise<string> {
  const { verdict, modifications } = await session.message(goodMessage);
  expect(verdict).toBe('continue');
  return modifications.flatMap((one) =>
    one.type === 'addheader' && one.name === 'X-Thread' ? [one.value] : [],
  )[0] as string;
}
