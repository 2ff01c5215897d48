/** What each worker thread loads. It reads the settings for itself; the main thread has found them to be good. */
import { getEnvironmentData, isMainThread } from 'node:worker_threads';
import { Log } from '../shared/log';
import { AuthFilter } from './filter';
import { LiveSettings } from './live-settings';
import { Reports } from './reports';

/** Under this name the main thread passes on the configuration file and the filter's name. */
export const ENVIRONMENT = 'authmilter';

export interface WorkerEnvironment {
  readonly file: string;
  readonly name: string;
}

const shared = isMainThread
  ? undefined
  : start(getEnvironmentData(ENVIRONMENT) as unknown as WorkerEnvironment);

function start({ file, name }: WorkerEnvironment) {
  const log = new Log(name);
  const live = LiveSettings.open(file);
  live.then(
    (settings) => settings.reportTo(log),
    (error: Error) => {
      log.write(`a worker cannot start: ${error.message}`);
      process.exit(1); // ends this thread, which is then replaced
    },
  );
  const reports = live.then(({ current }) => new Reports(current.reports, log));
  reports.catch(() => {}); // reported above, or with the first message
  return { live, log, reports };
}

export function factory(): AuthFilter {
  if (!shared) throw new Error('this module is for worker threads');
  return new AuthFilter(shared);
}

/** Called on SIGHUP, after the main thread has found the files to be good. */
export async function reload(): Promise<void> {
  await (await shared?.live)?.reload('SIGHUP');
}

/** Lets the thread end. */
export async function stopped(): Promise<void> {
  await (await shared?.live)?.close();
  await (await shared?.reports)?.close();
}
