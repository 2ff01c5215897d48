/** What an aggregate report says of a message (RFC 9990 3.1). */
import { domainNameOf, isWithin } from '../dkim/domain.js';
import type { DkimResult } from '../dkim/index.js';
import { readIp, textOf } from '../utils/ip.js';
import type { DmarcAlignment, DmarcPolicy, DmarcUri } from './record.js';
import type { DmarcOverride, DmarcResult, DmarcSpf } from './types.js';

/** The policy that a report is about: messages under another one go into another report. */
export interface ReportPolicy {
  readonly domain: string;
  readonly p: DmarcPolicy;
  readonly sp?: DmarcPolicy;
  readonly np?: DmarcPolicy;
  readonly fo: string;
  readonly adkim: DmarcAlignment;
  readonly aspf: DmarcAlignment;
  readonly testing: boolean;
  /** Where the report goes. */
  readonly rua: readonly DmarcUri[];
}

/** The row that a message counts in, with all others of which the same is to be said. */
export interface ReportRow {
  readonly ip: string;
  readonly disposition: DmarcPolicy | 'pass';
  readonly dkimAligned: boolean;
  readonly spfAligned: boolean;
  readonly overrides: readonly DmarcOverride[];
  readonly headerFrom: string;
  /** Empty for the null sender. */
  readonly envelopeFrom: string;
  readonly dkim: readonly { domain: string; selector: string; result: string; reason?: string }[];
  readonly spf?: { domain: string; result: string };
}

/** One message for a report. */
export interface ReportEntry {
  readonly policy: ReportPolicy;
  readonly row: ReportRow;
}

/** What is known of a message besides its DMARC result. */
export interface ReportFacts {
  /** The address of the SMTP client. A report has one spelling of it: that of RFC 5952, and IPv4 for IPv4-mapped addresses. */
  readonly ip: string;
  /** The domain of MAIL FROM; empty for the null sender. */
  readonly envelopeFrom: string;
  readonly dkim?: readonly DkimResult[] | undefined;
  readonly spf?: DmarcSpf | undefined;
}

/** Signatures that a row names (RFC 9990 wants no more than 100), and characters of a text. */
const MAX_SIGNATURES = 20;
const MAX_TEXT = 500;

/**
 * The entry for a message, to be added to a store.
 *
 * @returns undefined for a message of which nothing is reported: no policy applies, the domain does not ask for reports, DMARC
 *   could not be evaluated, or the client has no address
 */
export function reportEntry(dmarc: DmarcResult, facts: ReportFacts): ReportEntry | undefined {
  const { result, record, policyDomain, domain } = dmarc;
  if (result !== 'pass' && result !== 'fail') return undefined;
  if (!record || record.rua.length === 0 || policyDomain === undefined || domain === undefined)
    return undefined;
  const ip = readIp(facts.ip.replace(/%.*$/s, '')); // a zone has a meaning on this host only
  if (!ip) return undefined;
  const { p, sp, np, fo, adkim, aspf, testing, rua } = record;
  return {
    policy: {
      domain: policyDomain,
      p,
      ...(sp === undefined ? {} : { sp }),
      ...(np === undefined ? {} : { np }),
      fo,
      adkim,
      aspf,
      testing,
      rua,
    },
    row: {
      ip: textOf(ip),
      disposition: result === 'pass' && dmarc.policy !== 'none' ? 'pass' : dmarc.disposition,
      dkimAligned: dmarc.dkimAligned,
      spfAligned: dmarc.spfAligned,
      overrides: dmarc.overrides.map(({ type, comment }) => ({
        type,
        ...(comment === undefined ? {} : { comment: comment.slice(0, MAX_TEXT) }),
      })),
      headerFrom: domain,
      envelopeFrom: domainNameOf(facts.envelopeFrom) ?? '',
      dkim: signaturesOf(facts.dkim ?? [], domain, organizationOf(dmarc, domain)),
      ...spfOf(facts.spf),
    },
  };
}

/**
 * The organizational domain of the author's. Where no walk was needed to evaluate DMARC, none is made for a report, and it is the domain
 * of the policy, unless that is a public suffix.
 */
function organizationOf({ organizationalDomain, record, policyDomain }: DmarcResult, author: string): string {
  return organizationalDomain ?? (record?.psd === 'y' ? undefined : policyDomain) ?? author;
}

/**
 * First those that pass: of the author's domain (strict alignment), then of its organization (relaxed alignment), then of others; then those
 * that do not pass (RFC 9990, "DKIM Signatures in Aggregate Reports").
 */
function signaturesOf(
  results: readonly DkimResult[],
  author: string,
  organization: string,
): ReportRow['dkim'] {
  const rank = ({ result, domain = '' }: DkimResult) => {
    if (result !== 'pass') return 3;
    if (domain === author) return 0;
    return isWithin(domain, organization) ? 1 : 2;
  };
  return results
    .toSorted((one, other) => rank(one) - rank(other))
    .flatMap(({ domain, selector, result, reason }) => {
      const name = domainNameOf(domain ?? '');
      const key = domainNameOf(selector ?? '');
      if (name === undefined || key === undefined) return [];
      return [
        {
          domain: name,
          selector: key,
          result,
          ...(reason === undefined ? {} : { reason: reason.slice(0, MAX_TEXT) }),
        },
      ];
    })
    .slice(0, MAX_SIGNATURES);
}

function spfOf(spf: DmarcSpf | undefined): Pick<ReportRow, 'spf'> {
  const domain = domainNameOf(spf?.domain ?? '');
  if (!spf || spf.identity === 'helo' || domain === undefined) return {};
  return { spf: { domain, result: spf.result } };
}
