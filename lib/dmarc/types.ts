/** What is asked of a DMARC check, and what it says (RFC 9989, and RFC 7489 for what older records say). */
import type { ArcResult } from '../arc/index.js';
import type { DkimResult, TxtResolver } from '../dkim/index.js';
import type { DmarcPolicy, DmarcRecord } from './record.js';

/**
 * The results of RFC 9989 9.2:
 *
 * - `none`: no policy applies to the author's domain.
 * - `pass`: SPF or DKIM has authenticated a domain that is aligned with the author's.
 * - `fail`: neither has.
 * - `temperror`: DNS did not answer, or a limit of DNS questions was reached; another try may succeed. Never a reason to refuse the message for good.
 * - `permerror`: the message has no author's domain that could be checked.
 */
export type DmarcResultName = 'none' | 'pass' | 'fail' | 'temperror' | 'permerror';

/** What is known of the message. */
export interface DmarcMessage {
  /** The values of all From fields, as the message has them. With more than one, the message cannot pass. */
  readonly from: string | readonly string[];
  /**
   * The result of SPF: an `SpfCheck` of `tsmilter/spf`. Only that of MAIL FROM counts (RFC 9989 4.4.2), for the null sender too.
   * Default: SPF was not checked.
   */
  readonly spf?: DmarcSpf | undefined;
  /** The results of a `DkimVerifier`. Default: none. */
  readonly dkim?: readonly DkimResult[] | undefined;
  /** The result of an `ArcVerifier`, for `trustedSealers`. Default: none. */
  readonly arc?: ArcResult | undefined;
}

/** What DMARC needs of an `SpfCheck`. */
export interface DmarcSpf {
  readonly result: 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror';
  /** The domain that was checked. */
  readonly domain: string;
  /** Default: `mailfrom`. */
  readonly identity?: 'mailfrom' | 'helo';
}

/** Why a message is not treated as its domain asks for: the types of RFC 9990. */
export type DmarcOverrideType =
  | 'local_policy'
  | 'mailing_list'
  | 'other'
  | 'policy_test_mode'
  | 'trusted_forwarder';

/** Another disposition than the domain asks for, and why. */
export interface DmarcOverride {
  readonly type: DmarcOverrideType;
  /** For people; it is written into reports. */
  readonly comment?: string;
}

/** A decision of the receiver's own. */
export interface DmarcDecision extends DmarcOverride {
  readonly disposition: DmarcPolicy;
}

/** How messages are checked. */
export interface CheckDmarcOptions {
  /** A DnsSession of `tsmilter/dns`, best that of the whole message, or a Resolver of node:dns/promises. */
  readonly resolver: TxtResolver;
  /**
   * Domains (`d=`) whose ARC seals are believed: a failing message with a valid chain is let through if such a sealer says that it
   * passed DMARC when it came there, and every sealer since is one of them. `.example.com` stands for all subdomains. Default: none.
   */
  readonly trustedSealers?: readonly string[];
  /**
   * Decides about a message that fails, after `trustedSealers`. Default: the domain's policy is followed. In a message that names
   * several domains it is asked for each that fails, and the strictest disposition holds.
   *
   * @returns the decision, or undefined to follow the policy
   */
  readonly localPolicy?: (
    result: DmarcResult,
  ) => DmarcDecision | undefined | Promise<DmarcDecision | undefined>;
  /** Only say what would be done: the disposition is always `none`. Default: false. */
  readonly dryRun?: boolean;
  /** Author domains that are looked at in a message that names several. Default: 4. */
  readonly maxAuthorDomains?: number;
  /** A number from 0 to below 1, for records with `pct=`. Default: Math.random. */
  readonly random?: () => number;
}

/** What became of a message. */
export interface DmarcResult {
  readonly result: DmarcResultName;
  /** Why it is not `pass`, in plain words. */
  readonly reason?: string;
  /** The author's domain, in lower case and with A-labels; of several the one whose disposition is the strictest. */
  readonly domain?: string;
  /** The domain that has published the record. */
  readonly policyDomain?: string;
  /** The organizational domain of the author's domain, if it had to be known (RFC 9989 4.10.2). */
  readonly organizationalDomain?: string;
  readonly record?: DmarcRecord;
  /** What the record asks for by `p=`, `sp=` or `np=`; `none` without a record. */
  readonly publishedPolicy: DmarcPolicy;
  /** What the domain wants done with the message if it fails: `publishedPolicy` after `t=` and `pct=`. */
  readonly policy: DmarcPolicy;
  /** What is to be done: `none` unless the result is `fail`. */
  readonly disposition: DmarcPolicy;
  /** Why the disposition is not the published policy. */
  readonly overrides: readonly DmarcOverride[];
  /** Whether SPF has authenticated an aligned domain. */
  readonly spfAligned: boolean;
  /** Whether DKIM has authenticated an aligned domain. */
  readonly dkimAligned: boolean;
}
