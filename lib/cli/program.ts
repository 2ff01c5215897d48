/** The program `tsmilter`: finds the subcommand, and turns every outcome into an exit code and at most one line. */
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { MilterError } from '../internal/errors.js';
import { registerCheck } from './check/check.js';
import { type Act, type CommandContext, type Define, EXIT, type Register, UsageError } from './command.js';
import { registerCompletion } from './completion/completion.js';
import { registerDoctor } from './doctor/doctor.js';
import { registerInit } from './init/init.js';
import { registerInspect } from './inspect/inspect.js';
import { registerKey } from './key/key.js';
import type { Output } from './output.js';
import { packageVersion } from './package-version.js';
import { registerReplay } from './replay/replay.js';
import { registerRun } from './run/run.js';
import { registerSend } from './send/send.js';
import { plainMessage } from './system-error.js';

/** In the order of the help. */
const COMMANDS: readonly Register[] = [
  registerInit,
  registerRun,
  registerSend,
  registerReplay,
  registerInspect,
  registerDoctor,
  registerCheck,
  registerKey,
  registerCompletion,
];

/**
 * Runs the program.
 *
 * @param args what stands behind the program's name
 * @returns the exit code. What the caller can correct is one line on stderr; nothing is thrown but for faults of this program
 */
export async function runProgram(args: readonly string[], output: Output): Promise<number> {
  let exitCode: number = EXIT.ok;
  const context: CommandContext = { output, args };
  const define: Define = <Args extends unknown[]>(command: Command, act: Act<Args>) => {
    command.action(async (...given) => {
      exitCode = await act(context, ...(given as Args));
    });
  };
  const program = createProgram(output, define);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // it has been printed
    const name = nameOf(args);
    if (error instanceof UsageError) {
      output.error(`${name}: ${error.message} (${name} --help shows what is possible)`);
      return EXIT.usage;
    }
    if (!isForAdministrators(error)) throw error;
    output.error(`${name}: ${firstLine(error)}`);
    return EXIT.failed;
  }
}

/** The program with all subcommands; `completion` reads it as well. */
export function createProgram(output: Output, define: Define): Command {
  const withoutEnd = (text: string) => text.replace(/\n$/, '');
  const program = new Command('tsmilter')
    .description('Writes, runs and examines mail filters for Sendmail and Postfix.')
    .version(packageVersion())
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => output.printText(withoutEnd(text)),
      writeErr: (text) => output.errorText(withoutEnd(text)),
      outputError: (text, write) => write(text.replace(/^error: /, 'tsmilter: ').replace(/\n+(?=.)/g, ' ')),
    });
  for (const register of COMMANDS) register(program, define);
  return program;
}

/** The program and its subcommand, for messages. */
function nameOf([command = '']: readonly string[]): string {
  return /^[a-z]/.test(command) ? `tsmilter ${command}` : 'tsmilter';
}

/** Errors of this package and of the system say what to correct; others are faults, and their stack is needed. */
function isForAdministrators(error: unknown): error is Error {
  return error instanceof MilterError || isOfSystem(error);
}

const isOfSystem = (error: unknown): boolean =>
  typeof (error as NodeJS.ErrnoException | null)?.syscall === 'string';

/** The place in a line of a stack that is in a file, but not in this package or in Node. */
const PLACE = /^\s+at (?:.* \()?((?:file:\/\/)?\/[^()]+:\d+:\d+)\)?$/;

/** In the stack of a syntax error in a CommonJS module the message comes after the place and the line of code. */
const MESSAGE = /^\w*Error(?: \[\w+\])?: /;

/** An error's message as one line, with the place in the user's file if the message carries a stack. */
function firstLine(error: Error): string {
  if (isOfSystem(error)) return plainMessage(error);
  const [line = '', ...stack] = error.message.split('\n');
  const later = stack.find((row) => MESSAGE.test(row));
  if (later !== undefined) return `${line}: ${later}`;
  const own = join(__dirname, '..');
  const places = stack.map((row) => PLACE.exec(row)?.[1]?.replace('file://', ''));
  const place = places.find((found) => found !== undefined && !found.startsWith(own));
  return place === undefined ? line : `${line} (${place})`;
}
