/** Checks a configuration file: its syntax, the settings of `tsmilter run`, and what the filter itself says about it. */
import { resolve } from 'node:path';
import { MilterConfigParser } from '../../config/index.js';
import { badArgument } from '../../internal/errors.js';
import { UsageError } from '../command.js';
import type { Finding } from '../finding.js';
import { loadModule, thrownText } from '../load-module.js';
import { isRunConfig, readConfigFile } from '../run/config-file.js';
import { examine, failure } from './files.js';

type Reader = (file: string) => unknown;

/** @throws UsageError for a reader that does not exist, MilterError ERR_MILTER_BAD_ARGUMENT for one that cannot be loaded */
export async function checkConfig(file: string, reader: string | undefined): Promise<Finding[]> {
  const read = reader === undefined ? undefined : await loadReader(reader);
  return await examine('config', file, async () => {
    const parser = new MilterConfigParser();
    parser.read(file);
    try {
      if (isRunConfig(parser)) readConfigFile(file);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      return [failure('config', file, error.message)];
    }
    if (read) {
      try {
        await read(resolve(file));
      } catch (error) {
        return [failure('config', file, error instanceof Error ? error.message : thrownText(error))];
      }
    }
    const sections = parser.sections().map((name) => `[${name}]`);
    const message = `sections ${sections.join(', ') || 'none'}`;
    return [{ level: sections.length > 0 ? 'ok' : 'warning', code: 'config', about: file, message }];
  });
}

/** The function of a module that reads a configuration, or throws. */
async function loadReader(path: string): Promise<Reader> {
  const module = await loadModule(
    'tsmilter check',
    path,
    async (url) => (await import(url)) as Record<string, unknown>,
  );
  const levels = [module, module.default].filter((level) => typeof level === 'object' && level !== null);
  for (const name of ['checkConfig', 'readConfig']) {
    for (const level of levels as Record<string, unknown>[]) {
      if (typeof level[name] === 'function') return level[name] as Reader;
    }
  }
  throw badArgument(`${path} exports neither checkConfig nor readConfig`);
}
