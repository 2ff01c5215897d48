import { type AccessMap, MTAPolicy } from 'tsmilter/policy';
import type { SpfCheck, SpfResultName } from 'tsmilter/spf';
import { accessMap, choice } from '../../options';
import { type CheckResult, defineRule, type Mode } from '../../rule';
import { shown } from '../../shown';

/** `ok` trusts the sender; the others are the most that a finding does. */
const POLICIES = ['ok', 'continue', 'tag', 'quarantine', 'defer', 'reject'] as const;
type Policy = (typeof POLICIES)[number];

const policy = (result: string, fallback: Policy) =>
  choice(`what a ${result} does, at most`, POLICIES, fallback);

/** What Sendmail's access map calls them. */
const MAP_WORDS: ReadonlyMap<string, Policy> = new Map<string, Policy>([
  ...POLICIES.map((word) => [word, word] as const),
  ['tempfail', 'defer'],
]);

/** RFC 7372 3.2 and RFC 3463. */
const DETAILS: Partial<Record<SpfResultName, string>> = { fail: '7.23', permerror: '7.24', temperror: '4.3' };

export const spf = defineRule({
  name: 'spf',
  step: 'mail',
  doc: 'SPF says that the client may not send mail for the sender, or for its own HELO name.',
  options: {
    access_file: accessMap(
      "Sendmail's access map, or a file of its form, with policies by sender: `SPF-Fail:example.com`, `SPF-Softfail:`, `HELO-Fail:`; see below",
    ),
    pass: policy('pass', 'continue'),
    fail: policy('fail', 'reject'),
    softfail: policy('softfail', 'continue'),
    neutral: policy('neutral', 'continue'),
    none: policy('domain without a record', 'continue'),
    permerror: policy('wrong record', 'continue'),
    temperror: policy('DNS that does not answer', 'defer'),
    helo_fail: policy('fail of the HELO name', 'reject'),
  },
  prepare: ({ access_file, helo_fail, ...results }, { report }) => ({
    map: access_file,
    results,
    helo_fail,
    report,
  }),
  async check(
    { message: { sender }, helo, authentication },
    { map, results, helo_fail, report },
  ): Promise<CheckResult> {
    const found = await authentication();
    if (found.sender === null || found.forwarder !== null) return null;
    const postmaster = `postmaster@${helo ?? ''}`;
    const { result } = found.sender;
    const own =
      policyOf(map, `SPF-${capital(result)}`, sender.address || postmaster, report) ?? results[result];
    const finding = findingOf(found.sender, own, sender.address);
    if (finding !== null || result === 'pass' || sender.address === '' || found.helo?.result !== 'fail')
      return finding;
    const ofHelo = policyOf(map, 'HELO-Fail', postmaster, report) ?? helo_fail;
    return findingOf(found.helo, ofHelo, helo ?? '');
  },
});

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);

function policyOf(
  map: AccessMap | null,
  prefix: string,
  address: string,
  report: (message: string) => void,
): Policy | null {
  const value = map && new MTAPolicy(address, map).getPolicy(prefix);
  if (value === null) return null;
  const found = MAP_WORDS.get(value.trim().toLowerCase());
  if (found === undefined)
    report(`SPF ${prefix}:${shown(address)} has ${shown(value)}, which is no policy; it is ignored`);
  return found ?? null;
}

function findingOf(check: SpfCheck, own: Policy, name: string): CheckResult {
  const { result, identity, explanation, explainedBy, problem } = check;
  if (own === 'continue') return null;
  const what = `SPF ${result} of ${identity === 'helo' ? 'the HELO name ' : ''}${shown(name)}`;
  if (own === 'ok') return { trust: what };
  // The domain's text must not look like our own (RFC 7208 6.2).
  const said = explainedBy === null ? explanation : `${explainedBy} explains: ${explanation}`;
  return {
    reason: problem === null ? what : `${what}: ${problem}`,
    reply: `${what}. ${said}`,
    detail: DETAILS[result] ?? '7.1',
    atMost: own satisfies Mode,
  };
}
