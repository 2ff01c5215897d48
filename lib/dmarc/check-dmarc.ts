/** Whether a message is from whom it says it is, and what its domain wants done if not (RFC 9989 5.3). */
import { trustedSealer } from '../arc/index.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';
import { Alignment } from './alignment.js';
import { type Author, authorOf } from './author.js';
import { compareStrictness, discoverPolicy, existsIfAsked, policyFor, softened } from './policy.js';
import type { DmarcPolicy, DmarcRecord } from './record.js';
import { DnsUnanswered, PolicyRecords } from './tree-walk.js';
import type {
  CheckDmarcOptions,
  DmarcMessage,
  DmarcOverride,
  DmarcResult,
  DmarcResultName,
} from './types.js';

const OPTIONS: OptionNames<CheckDmarcOptions> = {
  resolver: true,
  trustedSealers: true,
  localPolicy: true,
  dryRun: true,
  maxAuthorDomains: true,
  random: true,
};
const MAX_AUTHOR_DOMAINS = 4;

const NOTHING = {
  publishedPolicy: 'none',
  policy: 'none',
  disposition: 'none',
  overrides: [],
  spfAligned: false,
  dkimAligned: false,
} as const;

/**
 * Checks a message. Nothing in it makes this throw, and no failure of DNS makes the disposition anything but `none`.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option; whatever `localPolicy` throws
 */
export async function checkDmarc(message: DmarcMessage, options: CheckDmarcOptions): Promise<DmarcResult> {
  checkOptions('checkDmarc', options, OPTIONS);
  const { maxAuthorDomains = MAX_AUTHOR_DOMAINS } = options;
  checkInteger('checkDmarc: maxAuthorDomains', maxAuthorDomains, 1);
  if (typeof options.resolver?.resolveTxt !== 'function')
    throw badArgument('checkDmarc: resolver has no resolveTxt');
  const records = new PolicyRecords(options.resolver);
  const author = authorOf(typeof message.from === 'string' ? [message.from] : message.from);
  const asked = author.domains.slice(0, maxAuthorDomains);
  const checked = await Promise.all(asked.map((domain) => checkDomain(domain, message, records, options)));
  const [first] = checked;
  if (author.fault === undefined && first) return await withDisposition([first], author, message, options);
  const left = author.domains.length - asked.length;
  const reason = (author.fault ?? 'the message has no author') + (left > 0 ? `, ${left} were not asked` : '');
  const failing = failingOf(author, checked).map((one) => ({ ...one, result: 'fail' as const, reason }));
  if (failing.length > 0) return await withDisposition(failing, author, message, options);
  const unknown = checked.find(({ result }) => result === 'temperror');
  const domain = first?.domain;
  return unknown ?? { ...NOTHING, ...(domain === undefined ? {} : { domain }), result: 'permerror', reason };
}

/** A message that is not one author's cannot pass (RFC 9989 5.3.1 and 11.5). Of a malformed one it is unknown which domain is shown. */
function failingOf({ severalAuthors }: Author, checked: readonly DmarcResult[]): DmarcResult[] {
  return checked.filter(({ result }) => result === 'fail' || (result === 'pass' && !severalAuthors));
}

async function checkDomain(
  domain: string,
  message: DmarcMessage,
  records: PolicyRecords,
  options: CheckDmarcOptions,
): Promise<DmarcResult> {
  let about: Omit<DmarcResult, 'result'> = { ...NOTHING, domain };
  try {
    const published = await discoverPolicy(records, domain);
    if (!published) return { ...about, result: 'none', reason: 'no policy is published for the domain' };
    const { record, domain: policyDomain } = published;
    about = { ...about, policyDomain, record };
    if (!record.usable) {
      return {
        ...about,
        result: 'none',
        reason: 'the record has no valid policy, and does not ask for reports',
      };
    }
    const evaluated = await evaluate(domain, message, records, record);
    // Whether the domain exists matters for messages that fail, and costs a question.
    const exists = evaluated.result !== 'fail' || (await existsIfAsked(records, domain, published));
    const publishedPolicy = policyFor(domain, published, exists);
    const { policy, override } = softened(publishedPolicy, record, options.random ?? Math.random);
    const overrides = evaluated.result === 'fail' && override ? [override] : [];
    return { ...about, ...evaluated, publishedPolicy, policy, overrides };
  } catch (error) {
    if (!(error instanceof DnsUnanswered)) throw error;
    return { ...about, result: 'temperror', reason: error.message };
  }
}

type Evaluation = Pick<
  DmarcResult,
  'result' | 'reason' | 'spfAligned' | 'dkimAligned' | 'organizationalDomain'
>;

/** RFC 9989 5.3.3 to 5.3.5. @throws DnsUnanswered */
async function evaluate(
  domain: string,
  { spf, dkim = [] }: DmarcMessage,
  records: PolicyRecords,
  { adkim, aspf }: DmarcRecord,
): Promise<Evaluation> {
  const alignment = new Alignment(records, domain);
  const spfDomains = (result: string) =>
    spf?.result === result && (spf.identity ?? 'mailfrom') === 'mailfrom' ? [spf.domain] : [];
  const dkimDomains = (wanted: string) =>
    dkim.flatMap(({ result, domain: signer }) => (result === wanted && signer !== undefined ? [signer] : []));
  const aligned = async (result: string) =>
    [
      await answered(alignment.some(spfDomains(result), aspf)),
      await answered(alignment.some(dkimDomains(result), adkim)),
    ] as const;
  const found = (result: DmarcResultName, reason?: string): Evaluation => ({
    result,
    ...(reason === undefined ? {} : { reason }),
    spfAligned: spfPasses === true,
    dkimAligned: dkimPasses === true,
    ...(alignment.organizationalDomain === undefined
      ? {}
      : { organizationalDomain: alignment.organizationalDomain }),
  });
  const [spfPasses, dkimPasses] = await aligned('pass');
  if (spfPasses === true || dkimPasses === true) return found('pass');
  for (const outcome of [spfPasses, dkimPasses]) if (typeof outcome !== 'boolean') throw outcome;
  // What could not be authenticated for want of DNS might have passed (5.3.6).
  if ((await aligned('temperror')).some((outcome) => outcome !== false)) {
    return found('temperror', 'DNS did not answer SPF or DKIM about an aligned domain');
  }
  return found('fail', 'neither SPF nor DKIM has authenticated an aligned domain');
}

async function answered(alignment: Promise<boolean>): Promise<boolean | DnsUnanswered> {
  try {
    return await alignment;
  } catch (error) {
    if (error instanceof DnsUnanswered) return error;
    throw error;
  }
}

/** The strictest of what is to be done for the domains of a message (RFC 9989 11.5): an exception for one is none for another. */
async function withDisposition(
  results: readonly DmarcResult[],
  author: Author,
  message: DmarcMessage,
  options: CheckDmarcOptions,
): Promise<DmarcResult> {
  const decided = await Promise.all(results.map((result) => decide(result, author, message, options)));
  const [strictest] = decided.toSorted(
    (one, other) =>
      compareStrictness(other.disposition, one.disposition) || compareStrictness(other.policy, one.policy),
  ) as [DmarcResult];
  if (!options.dryRun || strictest.disposition === 'none') return strictest;
  return overridden(strictest, 'none', { type: 'local_policy', comment: 'dry run' });
}

function overridden(result: DmarcResult, disposition: DmarcPolicy, override: DmarcOverride): DmarcResult {
  return { ...result, disposition, overrides: [...result.overrides, override] };
}

/** What is to be done for one domain, and why. */
async function decide(
  result: DmarcResult,
  author: Author,
  { arc }: DmarcMessage,
  { trustedSealers = [], localPolicy }: CheckDmarcOptions,
): Promise<DmarcResult> {
  if (result.result !== 'fail') return result;
  let decided: DmarcResult = { ...result, disposition: result.policy };
  if (decided.disposition !== 'none' && author.fault === undefined && arc && result.domain !== undefined) {
    const trusted = trustedSealer(arc, result.domain, trustedSealers);
    if (trusted) decided = overridden(decided, 'none', { type: 'local_policy', comment: trusted.comment });
  }
  const decision = await localPolicy?.(decided);
  if (!decision) return decided;
  const { disposition, ...override } = decision;
  return overridden(decided, disposition, override);
}
