/** What the main thread and a worker send each other, on a channel that the filter's module does not see. */
import type { MessagePort } from 'node:worker_threads';
import type { WorkerLogItem, WorkerLogSettings } from '../log/worker-log.js';
import type { Snapshot } from '../metrics/series.js';
import type { NormalisedMainOptions } from '../runtime/options.js';
import type { ReloadOutcome } from '../runtime/reload.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';

/** What all workers of a filter start with. */
export interface WorkerSettings {
  /** The filter's name. */
  readonly name: string;
  /** The filter's module, a `file:` URL. */
  readonly module: string;
  readonly options: NormalisedMainOptions;
  /** The rights and the exception policy of the main thread; the module may change them for its worker. */
  readonly flags: number;
  readonly policy: ExceptionPolicy;
  /** How entries of the log are made; null if there is no log. */
  readonly log: WorkerLogSettings | null;
  /** Whether metrics are collected. */
  readonly metrics: boolean;
  /** Whether messages are counted in {@link SharedCounters}. */
  readonly countsMessages: boolean;
}

/** `workerData` of a worker. */
export interface WorkerStart {
  readonly settings: WorkerSettings;
  /** The memory of {@link SharedCounters}. */
  readonly counters: SharedArrayBuffer;
  /** Milliseconds between two heartbeats; 0 for none. */
  readonly heartbeat: number;
  readonly port: MessagePort;
}

/** From a worker: the phase that it has reached, entries of the log, its metrics, or what became of a reload. */
export type WorkerMessage =
  | { readonly reached: 'serving' | 'finished' }
  | { readonly log: readonly WorkerLogItem[] }
  | { readonly metrics: Snapshot }
  | { readonly reload: ReloadOutcome };

/**
 * To a worker: the main thread's new exception policy, the number of log entries that have been written, or a request for the
 * metrics or for a reload.
 */
export type MainMessage =
  | { readonly policy: ExceptionPolicy }
  | { readonly written: number }
  | { readonly collect: true }
  | { readonly reload: true };
