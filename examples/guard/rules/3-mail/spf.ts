import { type AccessMap, MTAPolicy } from 'tsmilter/policy';
import type { SpfCheck, SpfResultName } from 'tsmilter/spf';
import type { Callbacks } from '../../callback';
import type { MessageFacts } from '../../facts';
import { accessMap, choice } from '../../options';
import { type CheckResult, defineRule, type Finding, type Question } from '../../rule';
import { shown } from '../../shown';

/** `ok` trusts the sender; `cbv` and `dsn` ask its mail server; the others are the most that a finding does. */
const POLICIES = ['ok', 'continue', 'tag', 'quarantine', 'defer', 'reject', 'cbv', 'dsn'] as const;
type Policy = (typeof POLICIES)[number];

const option = (result: string, fallback: Policy) =>
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
    pass: option('pass', 'continue'),
    fail: option('fail', 'reject'),
    softfail: option('softfail', 'continue'),
    neutral: option('neutral', 'continue'),
    none: option('domain without a record', 'continue'),
    permerror: option('wrong record', 'continue'),
    temperror: option('DNS that does not answer', 'defer'),
    helo_fail: option('fail of the HELO name', 'reject'),
  },
  prepare: async ({ access_file, helo_fail, ...results }, { report, callbacks, mode }) => ({
    map: access_file,
    results,
    helo_fail,
    report,
    callbacks: mode === 'dry-run' ? null : await callbacks(),
  }),
  async check(facts, { map, results, helo_fail, report, callbacks }) {
    const found = await facts.authentication();
    if (found.sender === null || found.forwarder !== null) return null;
    const { address } = facts.message.sender;
    const postmaster = `postmaster@${facts.helo ?? ''}`;
    const { result } = found.sender;
    const own = policyOf(map, `SPF-${capital(result)}`, address || postmaster, report) ?? results[result];
    const ofSender = resultOf(found.sender, own, address || postmaster, facts, callbacks);
    const isDecided = ofSender !== null && !('ask' in ofSender);
    if (isDecided || result === 'pass' || address === '' || found.helo?.result !== 'fail') return ofSender;
    const ofHelo = policyOf(map, 'HELO-Fail', postmaster, report) ?? helo_fail;
    return [ofSender, resultOf(found.helo, ofHelo, facts.helo ?? '', facts, callbacks)];
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

/** @param callbacks null in dry run: nobody is asked */
function resultOf(
  check: SpfCheck,
  policy: Policy,
  name: string,
  facts: MessageFacts,
  callbacks: Callbacks | null,
): CheckResult {
  const { result, identity, explanation, explainedBy, problem } = check;
  if (policy === 'continue') return null;
  const what = `SPF ${result} of ${identity === 'helo' ? 'the HELO name ' : ''}${shown(name)}`;
  if (policy === 'ok') return { trust: what };
  if (policy === 'cbv' || policy === 'dsn') return callbacks && questionOf(policy, callbacks, facts, what);
  // The domain's text must not look like our own (RFC 7208 6.2).
  const said = explainedBy === null ? explanation : `${explainedBy} explains: ${explanation}`;
  return {
    reason: problem === null ? what : `${what}: ${problem}`,
    reply: `${what}. ${said}`,
    detail: DETAILS[result] ?? '7.1',
    atMost: result === 'temperror' && policy === 'reject' ? 'defer' : policy,
  };
}

/** A notice says that the mail has been accepted, so it has to wait for the end of the message. */
function questionOf(
  policy: 'cbv' | 'dsn',
  callbacks: Callbacks,
  facts: MessageFacts,
  what: string,
): Question | null {
  if (facts.message.sender.address === '') return null;
  return policy === 'cbv'
    ? { before: 'rcpt', ask: () => ask('callback', callbacks, facts, what) }
    : { before: 'end', ask: () => ask('notice', callbacks, facts, what) };
}

async function ask(
  how: 'callback' | 'notice',
  callbacks: Callbacks,
  facts: MessageFacts,
  what: string,
): Promise<Finding | null> {
  const { address } = facts.message.sender;
  const said = await callbacks.refusal(how, facts, `${what}.`);
  if (said === null) return null;
  return {
    reason: `${what}, and its mail server does not accept mail for it: ${shown(said)}`,
    reply: `${what}, and the mail server of ${shown(address)} says: ${shown(said)}`,
    // RFC 3463: a bad sender address
    detail: '1.8',
  };
}
