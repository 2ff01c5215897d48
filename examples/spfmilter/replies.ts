/** Replies to rejected mail. A legitimate sender sees nothing but this text, in a bounce message. */
import type { SpfCheck, SpfResultName } from 'tsmilter/spf';
import type { Policy } from './policy';

export interface Refusal {
  readonly code: string;
  readonly extended: string;
  readonly lines: readonly string[];
}

/** RFC 3463: 7.1 rejected by policy, 5.2 syntax error, 4.3 a server did not answer. */
const DETAILS: Partial<Record<SpfResultName, string>> = { permerror: '5.2', temperror: '4.3' };
const BY_POLICY = '7.1';

/** What a legitimate sender can do about it. `domain` is the one whose record was checked. */
const ADVICE: Readonly<Record<SpfResultName, (domain: string) => string>> = {
  pass: (domain) => `Mail of ${domain} is not taken here.`,
  fail: (domain) => `If this is no forgery: send it through a server of ${domain}, or tell its postmaster.`,
  softfail: (domain) =>
    `If this is no forgery: send it through a server of ${domain}, or tell its postmaster.`,
  neutral: (domain) => `${domain} should name its servers in its SPF record.`,
  none: (domain) => `${domain || 'The domain'} should have an SPF record that names its servers.`,
  temperror: () => 'Please try again later.',
  permerror: (domain) => `Please tell the postmaster of ${domain} that its SPF record is wrong.`,
};

/** The reply that a policy asks for, or null if the mail passes. */
export function refusalOf(policy: Policy, extendedDetail: string, lines: readonly string[]): Refusal | null {
  if (policy === 'OK' || policy === 'CONTINUE') return null;
  if (policy === 'REJECT') return { code: '550', extended: `5.${extendedDetail}`, lines };
  if (policy === 'TEMPFAIL') return { code: '451', extended: `4.${extendedDetail}`, lines };
  return { code: policy.code, extended: policy.extended, lines: [policy.text] };
}

/** The same for a result of SPF: the explanation, which the domain may provide, and what the sender can do. */
export function spfRefusal(policy: Policy, check: SpfCheck): Refusal | null {
  const { result, identity, domain, explanation, explainedBy } = check;
  const what = `SPF ${result}${identity === 'helo' ? ' of your HELO name' : ''}`;
  // The domain's text must not look like our own (RFC 7208 6.2).
  const said =
    explainedBy === null ? `${what}: ${explanation}` : `${what}. ${explainedBy} explains: ${explanation}`;
  return refusalOf(policy, DETAILS[result] ?? BY_POLICY, [said, ADVICE[result](domain)]);
}

export function numericHelo(name: string): Refusal {
  return {
    code: '550',
    extended: '5.7.1',
    lines: [`HELO ${name}: that is an address and not a name.`, 'A mail server says its name, or [address].'],
  };
}

export function missingHelo(): Refusal {
  return { code: '550', extended: '5.7.1', lines: ['It is polite to say HELO first.'] };
}

/** Makes untrusted text safe for a line of a reply. */
function quoted(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 300);
}

export function userRefusal(policy: Policy, user: string, sender: string): Refusal | null {
  return refusalOf(policy, BY_POLICY, [`${quoted(user)} may not send mail as ${quoted(sender)}.`]);
}
