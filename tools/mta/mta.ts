import * as os from 'node:os';

/**
 * Where each MTA listens, named after the kind of milter socket that its filter usually has: `unix` and `inet` accept SMTP
 * clients at 127.0.0.1, `inet6` at ::1.
 */
export const endpointNames = ['unix', 'inet', 'inet6'] as const;
export type EndpointName = (typeof endpointNames)[number];

/** False in many containers; the endpoint `inet6` is then closed, and tests that need it are skipped. */
export const hasIPv6 = Object.values(os.networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** The endpoints that can be opened on this machine. */
export const openEndpoints: readonly EndpointName[] = endpointNames.filter(
  (endpoint) => endpoint !== 'inet6' || hasIPv6,
);

/** What the MTA does with a message if its filter is missing, fails or does not reply in time. */
export type FilterFailure = 'tempfail' | 'reject' | 'accept';

/** How long the MTA waits for a filter, in seconds. */
export interface FilterTimeouts {
  /** For the connection. Default: 10. */
  readonly connect: number;
  /** For writing one command, and for its reply. Default: 20. */
  readonly command: number;
  /** For the reply at the end of a message. Default: 60. */
  readonly content: number;
}

export interface MtaOptions {
  /**
   * The socket of each endpoint's filter, as for libmilter: `/path`, `unix:/path`, `inet:port@127.0.0.1`,
   * `inet6:port@::1`; or those of several filters, in the order in which they are asked. An endpoint without one accepts
   * everything. Default: none.
   */
  readonly filters?: Partial<Readonly<Record<EndpointName, string | readonly string[]>>>;
  /** The port of 127.0.0.1 to which everything is delivered. */
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
  readonly endpoints: Readonly<Record<EndpointName, { readonly host: string; readonly port: number }>>;
  /** The daemon's process id. */
  readonly pid: number;
  /** Its own folder, removed by {@link stop}. */
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
  /** Ends it, by SIGKILL if necessary, and removes its folder. May be called again. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The address at which an endpoint listens. */
export function hostOf(endpoint: EndpointName): string {
  return endpoint === 'inet6' ? '::1' : '127.0.0.1';
}

export function filterTimeouts(options: MtaOptions): FilterTimeouts {
  return { connect: 10, command: 20, content: 60, ...options.timeouts };
}
