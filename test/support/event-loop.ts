/** How long the event loop is kept from its turn. */
import { readFileSync } from 'node:fs';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Runs an action, and calls `visit` before it, and after each turn of the event loop until it has ended. */
async function visitTurns(visit: () => void, action: () => Promise<unknown>): Promise<void> {
  let done = false;
  visit();
  const work = action().finally(() => {
    done = true;
  });
  while (!done) {
    await nextTurn();
    visit();
  }
  await work;
}

/**
 * CPU time of the calling thread in milliseconds. Unlike the clock, it does not depend on what else the machine does; unlike
 * that of the process, on when V8 compiles or collects garbage on its other threads.
 */
export function cpuMilliseconds(): number {
  return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'latin1'), 10) / 1e6;
}

/**
 * Runs an action. @returns the largest CPU time in milliseconds of one turn of the event loop meanwhile. Collections of garbage
 * do not count: what one takes goes with all that the process keeps, and it may fall into any turn.
 */
export async function longestTurn(action: () => Promise<unknown>): Promise<number> {
  const collections: { startTime: number; duration: number }[] = [];
  const observer = new PerformanceObserver((list) => collections.push(...list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  const turns: { end: number; cpu: number }[] = [];
  await visitTurns(() => turns.push({ end: performance.now(), cpu: cpuMilliseconds() }), action);
  await nextTurn(); // the observer is told of the last collections
  observer.disconnect();
  return turns.slice(1).reduce((longest, { end, cpu }, at) => {
    const last = turns[at] as (typeof turns)[0];
    const within = collections.filter(({ startTime }) => startTime >= last.end && startTime < end);
    const collecting = within.reduce((sum, { duration }) => sum + duration, 0);
    // Collections are timed by the clock: on a busy machine the thread gets only a part of that time, in them as in the whole turn.
    const used = cpu - last.cpu;
    return Math.max(longest, used - (collecting * used) / Math.max(used, end - last.end));
  }, 0);
}

/** Milliseconds that filling a map took on the machine where the limits were set: two cores of a virtual machine, idle. */
const REFERENCE_FILL = 25;
const FILL = 100_000;

/** How many times slower this machine is at present than the one where limits of CPU time were set; at least 1. */
export function slowness(): number {
  const before = cpuMilliseconds();
  const map = new Map<string, number>();
  for (let at = 0; at < FILL; at++) map.set(`entry ${at}`, at);
  return Math.max(1, (cpuMilliseconds() - before) / REFERENCE_FILL);
}

/** Counts the entries that an action puts into maps. @returns the largest number of them in one turn of the event loop */
export async function mostEntriesInATurn(action: () => Promise<unknown>): Promise<number> {
  const { set } = Map.prototype;
  let [count, before, most] = [0, 0, 0];
  Map.prototype.set = function counted(key: unknown, value: unknown) {
    count++;
    return set.call(this, key, value);
  };
  try {
    await visitTurns(() => {
      most = Math.max(most, count - before);
      before = count;
    }, action);
    return most;
  } finally {
    Map.prototype.set = set;
  }
}
