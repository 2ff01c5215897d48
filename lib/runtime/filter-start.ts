/** What a runtime is given: a filter to start, the workers that serve it, or the part of such a worker. */
import type { Callbacks } from '../session/callbacks.js';
import type { Observation } from '../session/dependencies.js';
import type { ContextCounts } from '../session/dispatcher.js';
import type { ExceptionPolicy } from '../session/exception-policy.js';
import type { NormalisedMainOptions, NormalisedSocketOptions } from './options.js';

/** Serves the sessions in place of the thread that runs the filter; lib/workers/worker-pool.ts. */
export interface SessionHost {
  /** Contexts made in all workers, and those of them that have ended. */
  readonly contexts: [made: number, ended: number];
  /** Resolves when all workers take sessions, or the start was cancelled; rejects if one of them fails. */
  start(): Promise<void>;
  /** Terminates the workers at once, also those that are starting. */
  cancel(): void;
  setPolicy(policy: ExceptionPolicy): void;
  /** Resolves when all workers have ended; they are terminated after `timeout` milliseconds. */
  end(timeout: number): Promise<void>;
}

/** A filter that is registered, opened and run in one go, as runmilter does. */
export interface FilterStart {
  readonly name: string;
  readonly callbacks: Callbacks;
  readonly socket: string;
  readonly socketOptions: NormalisedSocketOptions;
  /** libmilter's own settings; undefined leaves its defaults. */
  readonly timeout: number | undefined;
  readonly backlog: number | undefined;
  readonly debug: number | undefined;
  /** Null where the sessions are served in this thread. */
  readonly workers: SessionHost | null;
  /** How sessions are followed from outside. Default: not at all. */
  readonly observation?: Observation;
  /** What has to be done before the workers and libmilter are started. */
  readonly prepare: () => Promise<void>;
  /** Called when the filter begins to stop. */
  readonly onStopping?: () => void;
}

/** This thread's part in a filter that another thread runs. */
export interface WorkerRole {
  /** The filter's name. */
  readonly name: string;
  readonly policy: ExceptionPolicy;
  readonly options: NormalisedMainOptions;
  /** Where the contexts of this thread are counted. */
  readonly counts: ContextCounts;
}
