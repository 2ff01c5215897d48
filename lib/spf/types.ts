/** What is asked, how, and what comes of it. */
import type { MxRecord } from '../dns/index.js';

/** The results of RFC 7208 2.6. */
export type SpfResultName = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror';

/** Which name of the client is checked: that of its sender (RFC 7208 2.4), or that of its HELO or EHLO (2.3). */
export type SpfIdentity = 'mailfrom' | 'helo';

/** What an SMTP client has said, and where it is. */
export interface SpfQuery {
  /** The client's address, IPv4 or IPv6. One that is IPv4-mapped (`::ffff:192.0.2.1`) is the IPv4 address in it. */
  readonly ip: string;
  /** The name of HELO or EHLO, as it came. */
  readonly helo: string;
  /** The address of MAIL FROM, with angle brackets or without; `<>` and the empty string are the null sender. */
  readonly sender: string;
}

/** What is asked of DNS; a DnsSession fits, so does a Resolver of node:dns/promises, with their error codes. */
export interface SpfResolver {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  resolveMx(name: string): Promise<MxRecord[]>;
  resolveTxt(name: string): Promise<string[][]>;
  /** The names of an address. */
  reverse(ip: string): Promise<string[]>;
}

/** How a check is done, and what it may cost. The domain that is checked chooses what is looked up, and a stranger the domain. */
export interface SpfOptions {
  /** Default: a DnsSession of its own. */
  readonly resolver?: SpfResolver;
  /** This host's name, for the header and the macro `%{r}`. Default: the system's host name. */
  readonly receiver?: string;
  /** Default: `mailfrom`; the null sender is then checked as postmaster of the HELO name (RFC 7208 2.4). */
  readonly identity?: SpfIdentity;
  /** Terms that need DNS: include, a, mx, ptr, exists, redirect; more are a permerror (RFC 7208 4.6.4). Default: 10. */
  readonly maxLookups?: number;
  /** Terms for which DNS has nothing; more are a permerror (RFC 7208 4.6.4). Default: 2. */
  readonly maxVoidLookups?: number;
  /** Mail servers of one `mx`; more are a permerror (RFC 7208 4.6.4). Default: 10. */
  readonly maxMx?: number;
  /** Names of the client's address that are looked at; more are passed over (RFC 7208 4.6.4). Default: 10. */
  readonly maxPtr?: number;
  /** Characters of an SPF record; a longer one is a permerror. Default: 16,384. */
  readonly maxRecordLength?: number;
  /** Characters of the sender's local part, and of the HELO name, for macros; terms with a longer one match nothing. Default: 1,024. */
  readonly maxMacroValue?: number;
  /** Characters of the explanation, 16 or more; a longer one is cut. Default: 400. */
  readonly maxExplanation?: number;
  /** Milliseconds in all; then it is a temperror (RFC 7208 4.6.4). Default: 20,000. */
  readonly maxTime?: number;
  /** The explanation of a fail for domains that have none of their own; macros as in theirs (RFC 7208 7). Default: a sentence. */
  readonly defaultExplanation?: string;
  /** Gives up, with a temperror, when it is aborted: `this.signal` of a filter say. */
  readonly signal?: AbortSignal;
}

/** What came of a check. All texts are one line of printable ASCII, but for the line ends in `receivedSpf`. */
export interface SpfCheck {
  readonly result: SpfResultName;
  readonly identity: SpfIdentity;
  /** The domain that was checked; empty where there is none. */
  readonly domain: string;
  /** The mechanism that gave the result, as its record has it and without its qualifier: `ip4:192.0.2.0/24`. Null: none did. */
  readonly mechanism: string | null;
  /** What is wrong, for temperror and permerror. */
  readonly problem: string | null;
  /** For a fail what the domain says about it (RFC 7208 6.2), or else a sentence that says what happened. A stranger's text. */
  readonly explanation: string;
  /** The domain whose words the explanation is; null where they are this package's or yours. */
  readonly explainedBy: string | null;
  /** Terms looked up in DNS: what `maxLookups` counts. */
  readonly lookups: number;
  /** The value of a Received-SPF header (RFC 7208 9.1). Long ones are folded, with LF and a tab, as `addheader` wants it. */
  readonly receivedSpf: string;
}
