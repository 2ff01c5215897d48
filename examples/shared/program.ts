/** The programs of the filters: how they end. */
import { inspect } from 'node:util';
import { MilterError } from 'tsmilter';
import { ConfigError } from './config-error';

/** Runs a program. What an administrator can correct is reported in one line; anything else needs its stack. */
export function runProgram(name: string, main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    const known = error instanceof ConfigError || error instanceof MilterError;
    console.error(`${name}: ${known ? error.message : inspect(error)}`);
    process.exitCode = 1;
  });
}
