/** Finds the command that the first argument names, and runs it. */
import { MilterError } from '../internal/errors.js';
import { type Command, EXIT, type Output, UsageError } from './command.js';
import { keyCommand } from './key-command.js';

const COMMANDS: ReadonlyMap<string, Command> = new Map([['key', keyCommand]]);

/**
 * Runs a command.
 *
 * @param args what stands behind the program's name
 * @returns the exit code. What an administrator can correct is one line; nothing is thrown but for faults of this program
 */
export async function runCommand(args: readonly string[], output: Output): Promise<number> {
  const [name = '', ...rest] = args;
  const command = COMMANDS.get(name);
  if (!command) {
    output.error(`usage: tsmilter ${[...COMMANDS.keys()].join('|')} ...`);
    return name === '--help' ? EXIT.ok : EXIT.usage;
  }
  if (rest.includes('--help')) {
    output.print(command.usage);
    return EXIT.ok;
  }
  try {
    return await command.run(rest, output);
  } catch (error) {
    if (error instanceof UsageError) {
      output.error(`tsmilter ${name}: ${error.message}\n${command.usage}`);
      return EXIT.usage;
    }
    if (!isForAdministrators(error)) throw error;
    output.error(`tsmilter ${name}: ${error.message}`);
    return EXIT.failed;
  }
}

/** Errors of this package and of the system say what to correct; others are faults, and their stack is needed. */
function isForAdministrators(error: unknown): error is Error {
  return error instanceof MilterError || typeof (error as NodeJS.ErrnoException).syscall === 'string';
}
