/** The workers of a filter, with the settings of the thread that runs it. */
import type { FilterLog } from '../log/filter-log.js';
import type { ThreadMetrics } from '../metrics/thread-metrics.js';
import type { NormalisedMainOptions } from '../runtime/options.js';
import { runtime } from '../runtime/runtime.js';
import { currentFlags } from '../session/flags.js';
import { NO_SESSION } from '../session/observer.js';
import type { WorkerSettings } from './messages.js';
import type { NormalisedWorkerOptions } from './options.js';
import { WorkerPool } from './worker-pool.js';

/** What belongs to the filter, and what follows its sessions. */
export interface PoolSettings {
  readonly name: string;
  readonly options: NormalisedMainOptions;
  readonly log: FilterLog | null;
  readonly metrics: ThreadMetrics | null;
  readonly countsMessages: boolean;
}

export function createPool(workers: NormalisedWorkerOptions, settings: PoolSettings): WorkerPool {
  const { name, options, log, metrics, countsMessages } = settings;
  const common: WorkerSettings = {
    name,
    module: workers.module,
    options,
    flags: currentFlags(),
    policy: runtime.exceptions.policy,
    log: log?.workers ?? null,
    metrics: metrics !== null,
    countsMessages,
  };
  return new WorkerPool(
    workers,
    common,
    (error) => {
      metrics?.workerDied();
      runtime.exceptions.report(error, 'a worker', NO_SESSION);
    },
    (items) => log?.write(items),
  );
}
