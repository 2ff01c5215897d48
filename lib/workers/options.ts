/** The options of runmilter that serve a filter's sessions in worker threads. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ResourceLimits } from 'node:worker_threads';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, checkWord, type OptionNames, shownValue } from '../internal/validate.js';

/** A filter on many cores: worker threads load its module, and each session belongs to one of them. */
export interface WorkerOptions {
  /**
   * The filter's module, in place of `factory`: a path (relative to the working directory) or a `file:` URL, of an ES
   * module or CommonJS. It exports the factory as `factory` or `default`, or one class that extends Base under any name, or calls
   * setFactory.
   */
  module?: string | URL;
  /** The number of worker threads. Default: one for each core, os.availableParallelism(). */
  workers?: number;
  /** Limits on each worker's memory, as Node's Worker takes them. A worker that exceeds them ends. Default: Node's own. */
  resourceLimits?: ResourceLimits;
}

export const WORKER_OPTIONS: OptionNames<WorkerOptions> = {
  module: true,
  workers: true,
  resourceLimits: true,
};

const LIMITS: OptionNames<ResourceLimits> = {
  maxYoungGenerationSizeMb: true,
  maxOldGenerationSizeMb: true,
  codeRangeSizeMb: true,
  stackSizeMb: true,
};

/** {@link WorkerOptions}, checked and complete. */
export interface NormalisedWorkerOptions {
  /** The module's `file:` URL. */
  readonly module: string;
  /** The module's path, for messages. */
  readonly path: string;
  readonly workers: number;
  readonly resourceLimits: ResourceLimits;
}

const MAX_WORKERS = 1024;

/** The module's URL and its path. */
function located(module: string | URL): [url: string, path: string] {
  // By its shape: a URL may come from another realm.
  const isUrl = typeof module === 'object' && module !== null && 'href' in module;
  const text: unknown = isUrl ? module.href : module;
  checkWord('module', text);
  try {
    const url = isUrl || text.startsWith('file:') ? new URL(text) : pathToFileURL(resolve(text));
    return [url.href, fileURLToPath(url)];
  } catch {
    throw badArgument(
      `module must be a path or a file: URL, not ${text}: give the path of the file that exports the filter`,
    );
  }
}

function checkLimits(limits: ResourceLimits): void {
  checkOptions('resourceLimits', limits, LIMITS);
  for (const [name, value] of Object.entries(limits)) {
    if (value === undefined || (Number.isFinite(value) && value > 0)) continue;
    throw badArgument(`resourceLimits: ${name} must be a number above 0, not ${shownValue(value)}`);
  }
}

/**
 * The options with their defaults; null if the filter runs in this thread.
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function normaliseWorkerOptions(options: WorkerOptions): NormalisedWorkerOptions | null {
  if (options.module === undefined) {
    for (const name of ['workers', 'resourceLimits'] as const) {
      if (options[name] === undefined) continue;
      throw badArgument(
        `${name} is for filters in worker threads, which load the filter from a file: pass { module: '/path/to/filter.js' } ` +
          'in place of factory',
      );
    }
    return null;
  }
  const { workers = availableParallelism(), resourceLimits = {} } = options;
  checkInteger('workers', workers, 1, MAX_WORKERS);
  checkLimits(resourceLimits);
  const [module, path] = located(options.module);
  return { module, path, workers, resourceLimits };
}
