/** The settings of `tsmilter run` from a file, in the format of pymilter's configuration files. */
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { MilterConfigParser } from '../../config/index.js';
import { suggestName } from '../../internal/suggestions.js';
import { UsageError } from '../command.js';
import { asIs, type Parse } from '../values.js';
import { type RunSettings, SETTINGS, spelling } from './settings.js';

const SECTION = 'milter';

const PARSERS: ReadonlyMap<string, { readonly name: string; readonly parse: Parse<unknown> }> = new Map([
  ['filter', { name: 'filter', parse: asIs }],
  ...Object.entries(SETTINGS).map(([name, { parse }]) => [spelling(name), { name, parse }] as const),
]);

/**
 * Reads the section `[milter]` of a file; other sections belong to the filter itself.
 *
 * The path of the filter is relative to the file.
 * @throws UsageError for a setting that is unknown or invalid; MilterError ERR_MILTER_CONFIG for a file that cannot be parsed
 */
export function readConfigFile(file: string): RunSettings {
  const config = new MilterConfigParser();
  if (config.read(file).length === 0) throw new UsageError(`${file} does not exist`);
  if (!config.hasSection(SECTION)) throw new UsageError(`${file} has no section [${SECTION}]`);
  const settings = Object.fromEntries(
    config.options(SECTION).map((option) => {
      const known = PARSERS.get(option);
      const place = config.placeOf(SECTION, option) ?? file;
      if (!known) throw new UsageError(`${place}: ${unknownSetting(option)}`);
      return [known.name, parsed(place, option, String(config.get(SECTION, option)), known.parse)];
    }),
  ) as RunSettings;
  if (settings.filter !== undefined) settings.filter = resolve(dirname(file), settings.filter);
  return settings;
}

/** Whether the section `[milter]` is for `tsmilter run`: filters for pymilter have one with other options. */
export function isRunConfig(config: MilterConfigParser): boolean {
  return config.hasOption(SECTION, 'filter') || config.hasOption(SECTION, 'socket');
}

function unknownSetting(option: string): string {
  const meant = suggestName(option, [...PARSERS.keys()]);
  return `${option} is not a setting${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function parsed(place: string, option: string, text: string, parse: Parse<unknown>): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new UsageError(`${place}: ${option} = ${text}: ${error.message}`);
  }
}
