/** Contract 18: uniqueID counts up by one, across worker threads too. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from '@jest/globals';
import { uniqueID } from 'tsmilter';

const TAKE = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { uniqueID } = require(workerData.module);
  parentPort.postMessage(Array.from({ length: workerData.count }, uniqueID));
`;
const milter = require.resolve('tsmilter');

async function takeInWorker(count: number): Promise<number[]> {
  const worker = new Worker(TAKE, { eval: true, workerData: { module: milter, count } });
  const [ids] = (await once(worker, 'message')) as [number[]];
  await worker.terminate();
  return ids;
}

/** @contract 18 */
describe('uniqueID', () => {
  it('counts up by one', () => {
    const first = uniqueID();
    expect(Number.isInteger(first)).toBe(true);
    expect(first).toBeGreaterThan(0);
    expect([uniqueID(), uniqueID(), uniqueID()]).toStrictEqual([first + 1, first + 2, first + 3]);
  });

  it('continues in a worker after this thread’s last number, and here after the worker’s', async () => {
    const before = uniqueID();
    expect(await takeInWorker(3)).toStrictEqual([before + 1, before + 2, before + 3]);
    expect(uniqueID()).toBe(before + 4);
  });

  it('four workers at once: every number exactly once', async () => {
    const before = uniqueID();
    const lists = await Promise.all([1, 2, 3, 4].map(() => takeInWorker(20_000)));
    const all = lists.flat().sort((a, b) => a - b);
    expect(all).toHaveLength(80_000);
    expect(new Set(all).size).toBe(80_000);
    expect([all[0], all.at(-1)]).toStrictEqual([before + 1, before + 80_000]);
    for (const ids of lists) expect(ids.every((id, i) => i === 0 || id > (ids[i - 1] as number))).toBe(true);
  });
});
