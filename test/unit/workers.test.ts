/** The options for workers, the delays between their restarts, and their shared counters; test/lifecycle/workers*.test.ts run them. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { normaliseWorkerOptions, type WorkerOptions } from '#lib/workers/options.js';
import { RestartBackoff } from '#lib/workers/restart-backoff.js';
import { Phase, SharedCounters } from '#lib/workers/shared-counters.js';
import { errorWith } from '../support/expect';
import { nodeProcess } from '../support/node-process';

const refused = (message: RegExp) => ({ code: 'ERR_MILTER_BAD_ARGUMENT', message });

describe('options for workers', () => {
  it('without a module there are no workers', () => {
    expect(normaliseWorkerOptions({})).toBeNull();
  });

  it('workers and resourceLimits need a module, and the error says so', () => {
    expect(() => normaliseWorkerOptions({ workers: 2 })).toThrow(
      errorWith(refused(/^workers is for .*pass \{ module/)),
    );
    expect(() => normaliseWorkerOptions({ resourceLimits: {} })).toThrow(
      errorWith(refused(/^resourceLimits is for .*pass \{ module/)),
    );
  });

  const accepted: [what: string, options: WorkerOptions, path: string][] = [
    ['an absolute path', { module: '/srv/filter.js' }, '/srv/filter.js'],
    ['a path from the working directory', { module: 'my filter.mjs' }, join(process.cwd(), 'my filter.mjs')],
    ['a URL', { module: pathToFileURL('/srv/a b.js') }, '/srv/a b.js'],
    ['the text of a URL', { module: 'file:///srv/a%20b.js' }, '/srv/a b.js'],
  ];
  for (const [what, options, path] of accepted) {
    it(`module can be ${what}`, () => {
      expect(normaliseWorkerOptions(options)).toStrictEqual({
        module: pathToFileURL(path).href,
        path,
        workers: availableParallelism(),
        resourceLimits: {},
      });
    });
  }

  it('the number of workers and their limits are passed on', () => {
    const resourceLimits = { maxOldGenerationSizeMb: 64 };
    const normalised = normaliseWorkerOptions({ module: '/a.js', workers: 3, resourceLimits });
    expect([normalised?.workers, normalised?.resourceLimits]).toStrictEqual([3, resourceLimits]);
  });

  for (const workers of [0, -1, 1.5, Number.NaN, 1025, '2' as unknown as number]) {
    it(`workers: ${JSON.stringify(workers)} is refused`, () => {
      expect(() => normaliseWorkerOptions({ module: '/a.js', workers })).toThrow(
        errorWith(refused(/^workers must be a whole number/)),
      );
    });
  }

  it('an invalid module is refused', () => {
    expect(() => normaliseWorkerOptions({ module: '' })).toThrow(
      errorWith(refused(/^module must not be empty/)),
    );
    expect(() => normaliseWorkerOptions({ module: 7 as unknown as string })).toThrow(
      errorWith(refused(/^module must be a string/)),
    );
    expect(() => normaliseWorkerOptions({ module: new URL('https://example.com/a.js') })).toThrow(
      errorWith(refused(/a path or a file: URL/)),
    );
    expect(() => normaliseWorkerOptions({ module: 'file://[' })).toThrow(
      errorWith(refused(/a path or a file: URL, not file:\/\/\[: give the path/)),
    );
    expect(() => normaliseWorkerOptions({ module: { href: 7 } as never })).toThrow(
      errorWith(refused(/^module must be a string/)),
    );
  });
});

it.each([
  [5, /must be an object/],
  ['64', /must be an object/],
  [{ maxOldGenerationSizeMB: 64 }, /no option maxOldGenerationSizeMB; did you mean maxOldGenerationSizeMb\?/],
  [{ maxOldGenerationSizeMb: '64' }, /maxOldGenerationSizeMb must be a number above 0, not "64"/],
  [{ stackSizeMb: 0 }, /stackSizeMb must be a number above 0, not 0/],
])('resourceLimits %j are refused: they would have no effect', (resourceLimits, message) => {
  const options = { module: '/a.js', resourceLimits: resourceLimits as object };
  expect(() => normaliseWorkerOptions(options)).toThrow(errorWith(refused(message)));
});

describe('runmilter with a module', () => {
  afterEach(() => {
    Milter.setFactory(null);
  });
  const run = (options: Milter.RunOptions) => Milter.runmilter('both', 'unix:/nowhere/sock', options);

  it('rejects a factory as well', async () => {
    await expect(run({ module: '/a.js', factory: Milter.Base })).rejects.toThrow(
      errorWith(refused(/a factory or a module, not both/)),
    );
    Milter.setFactory(Milter.Base);
    await expect(run({ module: '/a.js' })).rejects.toThrow(
      errorWith(refused(/a factory or a module, not both/)),
    );
  });

  it('rejects workers without module', async () => {
    await expect(run({ factory: Milter.Base, workers: 2 })).rejects.toThrow(
      errorWith(refused(/pass \{ module/)),
    );
  });

  it('rejects invalid options before a thread is created', async () => {
    const started: unknown[] = [];
    const listener = (worker: unknown) => started.push(worker);
    nodeProcess.on('worker', listener);
    await expect(run({ module: '/a.js', handlerTimeout: -1 })).rejects.toThrow(
      errorWith(refused(/^handlerTimeout/)),
    );
    await expect(run({ module: '/a.js', backlog: 0 })).rejects.toThrow(errorWith(refused(/^backlog/)));
    await expect(Milter.runmilter('', 'unix:/nowhere/sock', { module: '/a.js' })).rejects.toThrow(
      errorWith(refused(/name/)),
    );
    await expect(Milter.runmilter('x', 'nowhere:1', { module: '/a.js' })).rejects.toThrow(
      errorWith({
        code: 'ERR_MILTER_BAD_SOCKET',
      }),
    );
    nodeProcess.off('worker', listener);
    expect(started).toHaveLength(0);
  });
});

describe('the delay before a worker is replaced', () => {
  it('doubles from 0.1 s to 10 s while workers die early', () => {
    const backoff = new RestartBackoff();
    const delays = Array.from({ length: 10 }, () => backoff.next(9_999));
    expect(delays).toStrictEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
  });

  it('is none after a stable worker, and starts again from the beginning', () => {
    const backoff = new RestartBackoff();
    backoff.next(0);
    backoff.next(0);
    expect([backoff.next(10_000), backoff.next(10_000), backoff.next(5)]).toStrictEqual([0, 0, 100]);
  });
});

describe("a worker's counters", () => {
  it('share their memory between both threads', () => {
    const main = new SharedCounters();
    const worker = new SharedCounters(main.memory);
    expect([main.made, main.ended, main.heartbeats, main.phase]).toStrictEqual([0, 0, 0, Phase.loading]);
    worker.made++;
    worker.made++;
    worker.ended++;
    worker.heartbeat();
    worker.phase = Phase.serving;
    expect([main.made, main.ended, main.heartbeats, main.phase]).toStrictEqual([2, 1, 1, Phase.serving]);
  });

  it('count beyond 2^31', () => {
    const counters = new SharedCounters();
    counters.made = 2 ** 31 - 1;
    counters.made++;
    expect(counters.made).toBe(2 ** 31);
  });
});
