/** For `tsmilter check config FILE --reader guard/check-config.js`, and for `guard.js --check`. */
import { type Config, readConfig } from './config';
import { rules } from './rules';

/**
 * Reads a configuration as the filter does, with the files that it names, and closes all of it again.
 *
 * @returns the rules that are on
 * @throws ConfigError or MilterError, whose message has the place and what to do
 */
export async function checkConfig(file: string): Promise<Config['rules']> {
  const { rules: active, resources } = await readConfig(file, rules, () => {});
  await resources.release();
  return active;
}
