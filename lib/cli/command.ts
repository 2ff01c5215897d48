/** What the commands of `tsmilter` have in common. */

/** Where a command writes. */
export interface Output {
  /** Writes a line of the result. */
  print(line: string): void;
  /** Writes a line about it, which is not part of the result. */
  error(line: string): void;
}

export interface Command {
  readonly usage: string;
  /**
   * @returns the exit code
   * @throws UsageError for arguments that the command does not know; other errors as the functions that it calls
   */
  run(args: readonly string[], output: Output): Promise<number>;
}

/** Exit codes. `tryAgain` is EX_TEMPFAIL of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, tryAgain: 75 } as const;

/** Arguments that a command does not know. */
export class UsageError extends Error {}
