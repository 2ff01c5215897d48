/** The configuration in use, which is read again on SIGHUP and when a file of it changes. */
import { LiveFiles } from '../shared/live-files';
import { type Config, readConfig } from './config';
import type { AnyRule } from './rule';

type Report = (message: string) => void;

export class LiveConfig extends LiveFiles<Config> {
  /**
   * @param report gets a line for each reload, and for what goes wrong later
   * @throws as readConfig, if the file cannot be used the first time
   */
  static async open(file: string, rules: readonly AnyRule[], report: Report): Promise<LiveConfig> {
    const read = () => readConfig(file, rules, report);
    return new LiveConfig(await read(), {
      read,
      onReload: (because) => report(`CONFIG was read again: ${because}`),
      onError: ({ message }) => report(`CONFIG ${message}; the old configuration stays in use`),
      release: ({ resources }) =>
        resources.release().catch((error: Error) => {
          report(`CONFIG what the old one used cannot be closed: ${error.message}`);
        }),
    });
  }

  /** The configuration for a session that begins now. The session releases its resources at its end. */
  use(): Config {
    this.current.resources.use();
    return this.current;
  }
}
