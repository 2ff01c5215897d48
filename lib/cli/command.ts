/** What the subcommands of `tsmilter` have in common. */
import type { Command } from 'commander';
import type { Output } from './output.js';

/** Exit codes of every subcommand. `tryAgain` is EX_TEMPFAIL of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, tryAgain: 75 } as const;

/** Arguments that a subcommand cannot use, beyond what its declaration says; the exit code is 2. */
export class UsageError extends Error {}

/** What a subcommand works with. */
export interface CommandContext {
  readonly output: Output;
  /** The arguments of the program, without Node's own. */
  readonly args: readonly string[];
}

/** Adds a subcommand to the program. */
export type Register = (program: Command, define: Define) => void;

/** What a subcommand does: gets the arguments as commander passes them, and resolves to the exit code. */
export type Act<Args extends unknown[]> = (
  context: CommandContext,
  ...args: Args
) => Promise<number> | number;

/** Gives a subcommand its action. */
export type Define = <Args extends unknown[]>(command: Command, act: Act<Args>) => void;

/** What the help of a subcommand says after its options. */
export interface Details {
  readonly examples: readonly string[];
  /** Beyond 0, 1 and 2, which mean the same everywhere. */
  readonly exitCodes?: Readonly<Record<number, string>>;
  /** What 0 and 1 mean here. */
  readonly ok?: string;
  readonly failed?: string;
}

/** Adds examples and exit codes to the help of a subcommand. */
export function describe(command: Command, details: Details): Command {
  const codes: [number, string][] = [
    [EXIT.ok, details.ok ?? 'done'],
    [EXIT.failed, details.failed ?? 'failed; the reason is on stderr'],
    [EXIT.usage, 'the arguments are wrong'],
    ...Object.entries(details.exitCodes ?? {}).map(
      ([code, text]) => [Number(code), text] as [number, string],
    ),
  ];
  const examples = details.examples.map((example) => `  $ ${example}`);
  const lines = codes.map(([code, text]) => `  ${String(code).padEnd(3)} ${text}`);
  return command.addHelpText('after', ['', 'Examples:', ...examples, '', 'Exit codes:', ...lines].join('\n'));
}
