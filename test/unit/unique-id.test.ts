/** Contract 18: uniqueID counts up by one, across worker threads too. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
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

describe('contract 18: uniqueID', () => {
  it('counts up by one', () => {
    const first = uniqueID();
    assert.ok(Number.isInteger(first) && first > 0);
    assert.deepEqual([uniqueID(), uniqueID(), uniqueID()], [first + 1, first + 2, first + 3]);
  });

  it('goes on in a worker where this thread stopped, and here where the worker did', async () => {
    const before = uniqueID();
    assert.deepEqual(await takeInWorker(3), [before + 1, before + 2, before + 3]);
    assert.equal(uniqueID(), before + 4);
  });

  it('four workers at once: no number twice, none left out', async () => {
    const before = uniqueID();
    const lists = await Promise.all([1, 2, 3, 4].map(() => takeInWorker(20_000)));
    const all = lists.flat().sort((a, b) => a - b);
    assert.equal(all.length, 80_000);
    assert.equal(new Set(all).size, 80_000);
    assert.deepEqual([all[0], all.at(-1)], [before + 1, before + 80_000]);
    for (const ids of lists) assert.ok(ids.every((id, i) => i === 0 || id > (ids[i - 1] as number)));
  });
});
