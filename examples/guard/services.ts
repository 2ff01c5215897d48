/** What a rule may keep when it is prepared. */
import type { AddressList } from 'tsmilter/lists';
import type { Bans } from './bans';
import type { Callbacks } from './callback';
import type { Resources } from './resources';
import type { Mode } from './rule';
import type { State } from './state';

export interface Services {
  /** Stores of this host, or of several hosts together. */
  readonly state: State;
  /** The directory for files of rules: caches, archives. */
  readonly directory: string;
  /** The addresses that rules have banned. */
  readonly bans: () => Promise<Bans>;
  /** Asks mail servers about senders. */
  readonly callbacks: () => Promise<Callbacks>;
  /** The mode of the rule: in dry run, it must do nothing that others notice. */
  readonly mode: Mode;
  /** Each tells whether an address has a signature of ours, although no user has it: rules that verify signatures add theirs. */
  readonly signatures: ((address: string) => boolean)[];
  /** Our own domains. */
  readonly internalDomains: AddressList;
  /** Closes what the rule has opened. */
  readonly resources: Resources;
  /** Writes a line to the log, for what concerns no single message. */
  readonly report: (message: string) => void;
}
