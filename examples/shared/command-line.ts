/** The command lines of the filters. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ConfigError } from './config-error';

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>;

/**
 * Reads the process's arguments. `--help` prints the usage and ends the process.
 *
 * @param usage what the arguments are
 * @param most positional arguments
 * @throws ConfigError with the usage, for arguments that it does not allow
 */
export function readCommandLine<const O extends Options>(usage: string, options: O, most = 1): Parsed<O> {
  const { values, positionals } = parse(usage, { ...options, help: { type: 'boolean', short: 'h' } });
  if ('help' in values) {
    console.log(usage);
    process.exit(0);
  }
  if (positionals.length > most) throw new ConfigError(usage);
  return { values, positionals } as Parsed<O>;
}

function parse(usage: string, options: Options) {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    const [what] = (error as Error).message.split('. ', 1); // what follows is about arguments that begin with a dash
    throw new ConfigError(`${what}\n${usage}`);
  }
}
