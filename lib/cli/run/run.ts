/** `tsmilter run`: runs a filter. */
import { parse } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { ACCEPT, CONTINUE, REJECT, TEMPFAIL } from '../../addon/constants.js';
import { runmilter, setExceptionPolicy } from '../../runmilter.js';
import type { ExceptionPolicy } from '../../session/exception-policy.js';
import { type CommandContext, type Define, describe, EXIT, UsageError } from '../command.js';
import { moduleFile } from '../module-file.js';
import type { Parse } from '../values.js';
import { readConfigFile } from './config-file.js';
import { type OnError, type RunSettings, SETTINGS, spelling } from './settings.js';
import { watch } from './watch.js';

interface Given extends RunSettings {
  config?: string;
  watch?: boolean;
}

const POLICIES: Readonly<Record<OnError, ExceptionPolicy>> = {
  tempfail: TEMPFAIL,
  reject: REJECT,
  accept: ACCEPT,
  continue: CONTINUE,
};

/** Adds `run` to the program. */
export function registerRun(program: Command, define: Define): void {
  const command = program
    .command('run')
    .summary('run a filter')
    .description(
      'Runs the filter that a module exports: a class that extends Base, as default, as factory, or as its only such class.',
    )
    .argument('[filter]', 'the module of the filter: .js, .mjs, .cjs, and .ts if Node.js can run it');
  for (const [name, { value, about, parse }] of Object.entries(SETTINGS)) {
    const option = new Option(`--${spelling(name)} ${value}`.trimEnd(), about);
    command.addOption(value === '' ? option : option.argParser(parse as Parse<unknown>));
  }
  command
    .option('--config <file>', 'read settings from the section [milter] of a file; options override it')
    .option('--watch', 'for development: start again when a file beside the filter changes');
  describe(command, {
    ok: 'the filter was stopped by SIGTERM or SIGINT',
    failed: 'the filter could not start, or has failed',
    examples: [
      'tsmilter run filter.js --socket unix:/run/nolottery/sock --group postfix --mode 660',
      'tsmilter run filter.js --socket inet:8890@127.0.0.1 --workers 1 --watch',
      'tsmilter run --config /etc/nolottery.cfg',
    ],
  });
  define<[string | undefined, Given]>(command, run);
}

async function run(
  { output, args }: CommandContext,
  filter: string | undefined,
  { config, watch: isWatched, ...options }: Given,
): Promise<number> {
  const settings: RunSettings = { ...(config === undefined ? {} : readConfigFile(config)), ...options };
  const given = filter ?? settings.filter;
  if (given === undefined) throw new UsageError("name the filter's module, such as filter.js");
  const module = moduleFile(given);
  const { socket } = settings;
  if (socket === undefined) throw new UsageError('say where to listen: --socket unix:/run/myfilter/sock');
  if (isWatched) return await watch({ module, config, args, output });
  if (/^inet6?:[\w-]+$/i.test(socket)) {
    output.error(
      `${socket} is open to all hosts: write ${socket}@127.0.0.1 unless the MTA is on another one`,
    );
  }
  const {
    filter: _,
    name = parse(module).name,
    socket: __,
    maxMemory,
    onError,
    logLevel,
    ...rest
  } = settings;
  if (onError !== undefined) setExceptionPolicy(POLICIES[onError]);
  await runmilter(name, socket, {
    ...rest,
    module,
    ...(maxMemory !== undefined && { resourceLimits: { maxOldGenerationSizeMb: maxMemory } }),
    ...(logLevel === 'none' ? { logger: false } : logLevel !== undefined && { logLevel }),
  });
  return EXIT.ok;
}
