/** The settings in use, which are read again on SIGHUP and when a file of theirs changes. */
import { LiveFiles } from '../shared/live-files';
import type { Log } from '../shared/log';
import { readSettings, type Settings } from './settings';

export class LiveSettings extends LiveFiles<Settings> {
  #log: Log | null = null;

  /** @throws as readSettings, if they cannot be used the first time */
  static async open(file: string): Promise<LiveSettings> {
    const read = () => readSettings(file);
    const live: LiveSettings = new LiveSettings(await read(), {
      read,
      onReload: (because) => live.#log?.write(`settings were read again: ${because}`),
      onError: ({ message }) => live.#log?.write(`${message}; the old settings stay in use`),
    });
    return live;
  }

  /** Where reloads are reported; the name of the log is one of the settings. */
  reportTo(log: Log): void {
    this.#log = log;
  }
}
