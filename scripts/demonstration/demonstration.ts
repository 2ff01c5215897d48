import type { Sample } from './messages';

/** A filter, and the messages that are sent through it. */
export interface Demonstration {
  readonly samples: readonly Sample[];
  /** The program, below `examples/`. */
  readonly program: string;
  /** Whether it needs a real MTA. */
  readonly needsMta: boolean;
  /** The line of its log that ends a session with one message. */
  readonly sessionEnd: RegExp;
  /**
   * Starts what the filter needs.
   *
   * @param socket where the filter is to listen
   * @param dir a directory for its files, which is removed in the end
   * @returns the arguments of the program
   */
  prepare(socket: string, dir: string): Promise<readonly string[]>;
  /** Stops what `prepare` has started. */
  close(): Promise<void>;
}
