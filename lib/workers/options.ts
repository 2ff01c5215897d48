/** The options of runmilter that put a filter's sessions into worker threads. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ResourceLimits } from 'node:worker_threads';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkWord, type OptionNames } from '../internal/validate.js';

/** A filter on many cores: its module is loaded in worker threads, and each session belongs to one of them. */
export interface WorkerOptions {
  /**
   * The filter's module, a path (from the working directory) or a `file:` URL, ES module or CommonJS. It exports the
   * factory as `factory` or `default`, or calls setFactory. In place of `factory`.
   */
  module?: string | URL;
  /** How many worker threads load the module. Default: one for each core, os.availableParallelism(). */
  workers?: number;
  /** Limits on each worker's memory, as of Node's Worker. Default: Node's own. A worker that exceeds them ends. */
  resourceLimits?: ResourceLimits;
}

export const WORKER_OPTIONS: OptionNames<WorkerOptions> = {
  module: true,
  workers: true,
  resourceLimits: true,
};

/** What of the options the workers are made by. */
export interface WorkerPlan {
  /** The module's `file:` URL. */
  readonly module: string;
  /** The module's path, for messages. */
  readonly path: string;
  readonly workers: number;
  readonly resourceLimits: ResourceLimits;
}

const MOST_WORKERS = 1024;

function urlOf(module: unknown): URL {
  if (module instanceof URL) return module;
  checkWord('module', module);
  return module.startsWith('file:') ? new URL(module) : pathToFileURL(resolve(module));
}

function pathOf(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw badArgument(
      `module must be a path or a file: URL, not ${url.href}: give the path of the file that exports the filter`,
    );
  }
}

/**
 * The plan for the workers; null where the filter runs in this thread.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function planWorkers(options: WorkerOptions): WorkerPlan | null {
  if (options.module === undefined) {
    for (const name of ['workers', 'resourceLimits'] as const) {
      if (options[name] === undefined) continue;
      throw badArgument(
        `${name} is for filters in worker threads, which load them from a file: pass { module: '/path/to/filter.js' } ` +
          'in place of factory',
      );
    }
    return null;
  }
  const { workers = availableParallelism(), resourceLimits = {} } = options;
  checkInteger('workers', workers, 1, MOST_WORKERS);
  if (typeof resourceLimits !== 'object' || resourceLimits === null) {
    throw badArgument(
      "resourceLimits must be an object, as of Node's Worker: { maxOldGenerationSizeMb: 512 }",
    );
  }
  const url = urlOf(options.module);
  return { module: url.href, path: pathOf(url), workers, resourceLimits };
}
