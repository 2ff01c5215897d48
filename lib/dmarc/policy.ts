/** Which policy applies to an author's domain (RFC 9989 4.10.1), and how it is softened (4.7, RFC 7489 6.6.4). */
import type { DmarcPolicy, DmarcRecord } from './record.js';
import type { PolicyRecords, PublishedRecord } from './tree-walk.js';
import type { DmarcOverride } from './types.js';

const STRICTNESS: Readonly<Record<DmarcPolicy, number>> = { none: 0, quarantine: 1, reject: 2 };
const MILDER: Readonly<Record<DmarcPolicy, DmarcPolicy>> = {
  none: 'none',
  quarantine: 'none',
  reject: 'quarantine',
};

/** Less than 0 if the first policy is the milder one. */
export function compareStrictness(one: DmarcPolicy, other: DmarcPolicy): number {
  return STRICTNESS[one] - STRICTNESS[other];
}

/**
 * The record that applies to an author's domain: its own, else that of its organizational domain, else that of the public
 * suffix above.
 *
 * @throws DnsUnanswered
 */
export async function discoverPolicy(
  records: PolicyRecords,
  author: string,
): Promise<PublishedRecord | undefined> {
  const own = await records.get(author);
  if (own) return { domain: author, record: own };
  const { organizationalDomain, records: found } = await records.walk(author);
  return (
    found.find(({ domain }) => domain === organizationalDomain) ??
    found.find(({ record }) => record.psd === 'y')
  );
}

/**
 * What a record asks for about an author's domain: `p=` for the record's own domain, `sp=` for those below, `np=` for those
 * below that do not exist.
 */
export function policyFor(author: string, { domain, record }: PublishedRecord, exists: boolean): DmarcPolicy {
  if (domain === author) return record.p;
  return (exists ? undefined : record.np) ?? record.sp ?? record.p;
}

/**
 * Whether an author's domain exists; true also if it makes no difference to the policy.
 *
 * @throws DnsUnanswered
 */
export async function existsIfAsked(
  records: PolicyRecords,
  author: string,
  published: PublishedRecord,
): Promise<boolean> {
  const matters = policyFor(author, published, true) !== policyFor(author, published, false);
  return !matters || (await records.exists(author));
}

/** The policy after test mode and, in records of RFC 7489, the percentage; and why it is another one. */
export function softened(
  policy: DmarcPolicy,
  { testing, percentage }: DmarcRecord,
  random: () => number,
): { policy: DmarcPolicy; override?: DmarcOverride } {
  if (policy === 'none') return { policy };
  if (testing) return { policy: MILDER[policy], override: { type: 'policy_test_mode' } };
  if (percentage === 100 || random() * 100 < percentage) return { policy };
  return { policy: MILDER[policy], override: { type: 'other', comment: `sampled out (pct=${percentage})` } };
}
