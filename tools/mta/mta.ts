import * as os from 'node:os';

/**
 * The doors that each MTA opens, named after the kind of milter socket that their filter usually has:
 * `unix` and `inet` take SMTP clients on 127.0.0.1, `inet6` on ::1.
 */
export const doors = ['unix', 'inet', 'inet6'] as const;
export type Door = (typeof doors)[number];

/** False in many containers: then the door `inet6` stays shut, and tests that need it have to be skipped. */
export const hasIPv6 = Object.values(os.networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** The doors that can be opened on this machine. */
export const openDoors: readonly Door[] = doors.filter((door) => door !== 'inet6' || hasIPv6);

/** What the MTA does with a message when its filter is not there, breaks off or does not answer in time. */
export type FilterFailure = 'tempfail' | 'reject' | 'accept';

/** How long the MTA waits for a filter, in seconds. */
export interface FilterTimeouts {
  /** For the connection. Default: 10. */
  readonly connect: number;
  /** For one command to be written or answered. Default: 20. */
  readonly command: number;
  /** For the answer at the end of a message. Default: 60. */
  readonly content: number;
}

export interface MtaOptions {
  /**
   * The filter behind each door, spelled as for libmilter: `/path`, `unix:/path`, `inet:port@127.0.0.1`,
   * `inet6:port@::1`. A door without one passes everything. Default: none.
   */
  readonly filters?: Partial<Readonly<Record<Door, string>>>;
  /** Where everything is delivered to, on 127.0.0.1. */
  readonly sinkPort: number;
  /** Default: `tempfail`. */
  readonly whenFilterFails?: FilterFailure;
  readonly timeouts?: Partial<FilterTimeouts>;
  /** Added to the configuration: main.cf settings for Postfix, m4 lines for Sendmail. Default: nothing. */
  readonly extraConfig?: string;
}

/** A running MTA. It refuses the recipient mtareject@dest.test itself and delivers all others to the sink. */
export interface Mta {
  readonly name: 'sendmail' | 'postfix';
  /** The version of its Debian package. */
  readonly version: string;
  readonly endpoints: Readonly<Record<Door, { readonly host: string; readonly port: number }>>;
  /** Of the daemon. */
  readonly pid: number;
  /** Its own folder, gone after {@link stop}. */
  readonly dir: string;
  /** Sendmail: qf, df and (quarantined) hf files. Postfix: the folder above hold, deferred and so on. */
  readonly queueDir: string;
  /** The mail log so far. */
  log(): string;
  /**
   * The messages in quarantine. Sendmail: the text of their hf files (headers, envelope and the reason).
   * Postfix: the text of the files in the hold queue (the whole message, between binary record headers).
   */
  quarantined(): string[];
  /** Ends it for sure and removes its folder. May be called again. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The address on which a door listens. */
export function hostOf(door: Door): string {
  return door === 'inet6' ? '::1' : '127.0.0.1';
}

export function filterTimeouts(options: MtaOptions): FilterTimeouts {
  return { connect: 10, command: 20, content: 60, ...options.timeouts };
}
