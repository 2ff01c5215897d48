/** The query, the options and the result of an SPF check. */
import type { MxRecord } from '../dns/index.js';

/** The results of RFC 7208 2.6. */
export type SpfResultName = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror';

/** The identity that is checked: the sender of MAIL FROM (RFC 7208 2.4), or the name of HELO or EHLO (2.3). */
export type SpfIdentity = 'mailfrom' | 'helo';

/** An SMTP client: its address, and what it has sent. */
export interface SpfQuery {
  /** The client's IPv4 or IPv6 address. An IPv4-mapped address (`::ffff:192.0.2.1`) counts as the IPv4 address in it. */
  readonly ip: string;
  /** The name of HELO or EHLO, as the client sent it. */
  readonly helo: string;
  /** The address of MAIL FROM, with or without angle brackets; `<>` and the empty string are the null sender. */
  readonly sender: string;
}

/** The DNS resolver of a check: a DnsSession, a Resolver of node:dns/promises, or an object with the same error codes. */
export interface SpfResolver {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
  resolveMx(name: string): Promise<MxRecord[]>;
  resolveTxt(name: string): Promise<string[][]>;
  /** The names in the PTR records of an address. */
  reverse(ip: string): Promise<string[]>;
}

/** Options and limits of a check. The limits matter because an untrusted client chooses the domain, and the domain the lookups. */
export interface SpfOptions {
  /** Default: a new DnsSession. */
  readonly resolver?: SpfResolver;
  /** The name of this host, for the header and the macro `%{r}`. Default: the system's host name. */
  readonly receiver?: string;
  /** The identity to check. For `mailfrom` the null sender stands for postmaster at the HELO name (RFC 7208 2.4). Default: `mailfrom`. */
  readonly identity?: SpfIdentity;
  /** Maximum number of terms that need DNS (include, a, mx, ptr, exists, redirect); more give a permerror (RFC 7208 4.6.4). Default: 10. */
  readonly maxLookups?: number;
  /** Maximum number of terms for which DNS has no records; more give a permerror (RFC 7208 4.6.4). Default: 2. */
  readonly maxVoidLookups?: number;
  /** Maximum number of mail servers of one `mx`; more give a permerror (RFC 7208 4.6.4). Default: 10. */
  readonly maxMx?: number;
  /** Maximum number of names of the client's address to check; further ones are ignored (RFC 7208 4.6.4). Default: 10. */
  readonly maxPtr?: number;
  /** Maximum length of an SPF record in characters; a longer one gives a permerror. Default: 16,384. */
  readonly maxRecordLength?: number;
  /** Maximum length in macros of the sender's local part and of the HELO name; terms with a longer one do not match. Default: 1,024. */
  readonly maxMacroValue?: number;
  /** Maximum length of the explanation, at least 16; a longer one is cut. Default: 400. */
  readonly maxExplanation?: number;
  /** Milliseconds for the whole check; the result is temperror if it takes longer (RFC 7208 4.6.4). Default: 20,000. */
  readonly maxTime?: number;
  /** The explanation of a fail if the domain has none. It may contain macros (RFC 7208 7). Default: a sentence with the result. */
  readonly defaultExplanation?: string;
  /** Aborts the check, with the result temperror; for example `this.signal` of a filter. */
  readonly signal?: AbortSignal;
}

/** The result of a check. All texts are one line of printable ASCII, except for the line breaks in `receivedSpf`. */
export interface SpfCheck {
  readonly result: SpfResultName;
  readonly identity: SpfIdentity;
  /** The domain that was checked; empty if there is none. */
  readonly domain: string;
  /** The mechanism that matched, without its qualifier, such as `ip4:192.0.2.0/24`; null if none did. */
  readonly mechanism: string | null;
  /** What is wrong, for temperror and permerror; otherwise null. */
  readonly problem: string | null;
  /** For a fail, the explanation of the domain (RFC 7208 6.2), which is untrusted text; otherwise a sentence with the result. */
  readonly explanation: string;
  /** The domain that provided the explanation; null if it is this package's or your own. */
  readonly explainedBy: string | null;
  /** The number of terms that needed DNS, which `maxLookups` limits. */
  readonly lookups: number;
  /** The value of a Received-SPF header (RFC 7208 9.1), folded with LF and a tab, as `addheader` expects it. */
  readonly receivedSpf: string;
}
