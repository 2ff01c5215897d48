/** The options for workers, the delays between their restarts, and their shared counters; test/lifecycle/workers*.test.ts run them. */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import * as Milter from 'tsmilter';
import { normaliseWorkerOptions, type WorkerOptions } from '#lib/workers/options.js';
import { RestartBackoff } from '#lib/workers/restart-backoff.js';
import { Phase, SharedCounters } from '#lib/workers/shared-counters.js';

const refused = (message: RegExp) => ({ code: 'ERR_MILTER_BAD_ARGUMENT', message });

describe('options for workers', () => {
  it('without a module there are no workers', () => {
    assert.equal(normaliseWorkerOptions({}), null);
  });

  it('workers and resourceLimits need a module, and the error says so', () => {
    assert.throws(() => normaliseWorkerOptions({ workers: 2 }), refused(/^workers is for .*pass \{ module/));
    assert.throws(
      () => normaliseWorkerOptions({ resourceLimits: {} }),
      refused(/^resourceLimits is for .*pass \{ module/),
    );
  });

  const accepted: [what: string, options: WorkerOptions, path: string][] = [
    ['an absolute path', { module: '/srv/filter.js' }, '/srv/filter.js'],
    ['a path from the working directory', { module: 'my filter.mjs' }, join(process.cwd(), 'my filter.mjs')],
    ['a URL', { module: pathToFileURL('/srv/a b.js') }, '/srv/a b.js'],
    ['the text of a URL', { module: 'file:///srv/a%20b.js' }, '/srv/a b.js'],
  ];
  for (const [what, options, path] of accepted) {
    it(`module may be ${what}`, () => {
      assert.deepEqual(normaliseWorkerOptions(options), {
        module: pathToFileURL(path).href,
        path,
        workers: availableParallelism(),
        resourceLimits: {},
      });
    });
  }

  it('how many, and their limits, are passed on', () => {
    const resourceLimits = { maxOldGenerationSizeMb: 64 };
    const normalised = normaliseWorkerOptions({ module: '/a.js', workers: 3, resourceLimits });
    assert.deepEqual([normalised?.workers, normalised?.resourceLimits], [3, resourceLimits]);
  });

  for (const workers of [0, -1, 1.5, Number.NaN, 1025, '2' as unknown as number]) {
    it(`workers: ${JSON.stringify(workers)} is refused`, () => {
      assert.throws(
        () => normaliseWorkerOptions({ module: '/a.js', workers }),
        refused(/^workers must be a whole number/),
      );
    });
  }

  it('what is no module is refused', () => {
    assert.throws(() => normaliseWorkerOptions({ module: '' }), refused(/^module must not be empty/));
    assert.throws(
      () => normaliseWorkerOptions({ module: 7 as unknown as string }),
      refused(/^module must be a string/),
    );
    assert.throws(
      () => normaliseWorkerOptions({ module: new URL('https://example.com/a.js') }),
      refused(/a path or a file: URL/),
    );
    assert.throws(
      () => normaliseWorkerOptions({ module: '/a.js', resourceLimits: 5 as never }),
      refused(/must be an object/),
    );
  });
});

describe('runmilter with a module', () => {
  afterEach(() => Milter.setFactory(null));
  const run = (options: Milter.RunOptions) => Milter.runmilter('both', 'unix:/nowhere/sock', options);

  it('and a factory is refused', async () => {
    await assert.rejects(
      run({ module: '/a.js', factory: Milter.Base }),
      refused(/a factory or a module, not both/),
    );
    Milter.setFactory(Milter.Base);
    await assert.rejects(run({ module: '/a.js' }), refused(/a factory or a module, not both/));
  });

  it('workers without module are refused', async () => {
    await assert.rejects(run({ factory: Milter.Base, workers: 2 }), refused(/pass \{ module/));
  });

  it('bad options are refused before a thread is made', async () => {
    const started: unknown[] = [];
    const listener = (worker: unknown) => started.push(worker);
    process.on('worker', listener);
    await assert.rejects(run({ module: '/a.js', handlerTimeout: -1 }), refused(/^handlerTimeout/));
    await assert.rejects(run({ module: '/a.js', backlog: 0 }), refused(/^backlog/));
    await assert.rejects(Milter.runmilter('', 'unix:/nowhere/sock', { module: '/a.js' }), refused(/name/));
    await assert.rejects(Milter.runmilter('x', 'nowhere:1', { module: '/a.js' }), {
      code: 'ERR_MILTER_BAD_SOCKET',
    });
    process.off('worker', listener);
    assert.equal(started.length, 0);
  });
});

describe('the delay before a worker is replaced', () => {
  it('doubles from 0.1 s to 10 s while workers die early', () => {
    const backoff = new RestartBackoff();
    const delays = Array.from({ length: 10 }, () => backoff.next(9_999));
    assert.deepEqual(delays, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
  });

  it('is none after a stable worker, and starts over', () => {
    const backoff = new RestartBackoff();
    backoff.next(0);
    backoff.next(0);
    assert.deepEqual([backoff.next(10_000), backoff.next(10_000), backoff.next(5)], [0, 0, 100]);
  });
});

describe("a worker's counters", () => {
  it('is one memory for both threads', () => {
    const main = new SharedCounters();
    const worker = new SharedCounters(main.memory);
    assert.deepEqual([main.made, main.ended, main.heartbeats, main.phase], [0, 0, 0, Phase.loading]);
    worker.made++;
    worker.made++;
    worker.ended++;
    worker.heartbeat();
    worker.phase = Phase.serving;
    assert.deepEqual([main.made, main.ended, main.heartbeats, main.phase], [2, 1, 1, Phase.serving]);
  });

  it('counts beyond 2^31', () => {
    const counters = new SharedCounters();
    counters.made = 2 ** 31 - 1;
    counters.made++;
    assert.equal(counters.made, 2 ** 31);
  });
});
