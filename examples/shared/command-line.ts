/** The command lines of the filters. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ConfigError } from './config-error';

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>;

/**
 * Reads the process's arguments: options, and one that is none. `--help` prints the usage and ends the process.
 *
 * @param usage what the arguments are
 * @throws ConfigError with the usage, for arguments that it does not allow
 */
export function readCommandLine<const O extends Options>(usage: string, options: O): Parsed<O> {
  const { values, positionals } = parse(usage, { ...options, help: { type: 'boolean', short: 'h' } });
  if ('help' in values) {
    console.log(usage);
    process.exit(0);
  }
  if (positionals.length > 1) throw new ConfigError(usage);
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
