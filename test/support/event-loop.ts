/** How long the event loop is kept from its turn. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Runs an action. @returns the largest difference that `measure` saw between two turns of the event loop meanwhile */
export async function largestTurn(measure: () => number, action: () => Promise<unknown>): Promise<number> {
  let done = false;
  let largest = 0;
  let before = measure();
  const work = action().finally(() => {
    done = true;
  });
  while (!done) {
    await nextTurn();
    const now = measure();
    largest = Math.max(largest, now - before);
    before = now;
  }
  await work;
  return largest;
}

/** CPU time of the process in milliseconds. Unlike the clock, it does not depend on what else the machine does. */
export function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
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
  let count = 0;
  Map.prototype.set = function counted(key: unknown, value: unknown) {
    count++;
    return set.call(this, key, value);
  };
  try {
    return await largestTurn(() => count, action);
  } finally {
    Map.prototype.set = set;
  }
}
