/** What becomes of a message, and why. */
import { mayBeTrusted } from 'tsmilter/arc';
import type { DmarcResult } from 'tsmilter/dmarc';
import type { Config } from './config';
import type { Findings } from './incoming';

/** What is said to a client whose message is not taken. A legitimate sender sees nothing but this text, in a bounce. */
export interface Reply {
  readonly code: string;
  readonly extended: string;
  readonly text: string;
}

export interface Decision {
  readonly action: 'accept' | 'quarantine' | 'tempfail' | 'reject';
  readonly reason: string;
  /** Of `tempfail` and `reject`. */
  readonly reply?: Reply;
}

/** DMARC knows best: it has judged SPF and DKIM together. Extended codes are those of RFC 7372 and RFC 3463. */
export function decide(findings: Findings, { verify, dmarc }: Pick<Config, 'verify' | 'dmarc'>): Decision {
  if (findings.dmarc?.result === 'pass') return { action: 'accept', reason: 'DMARC pass' };
  const unknown = unansweredOf(findings, dmarc);
  const byDmarc =
    unknown === 'ARC' ? null : (dmarcDecision(findings.dmarc, dmarc) ?? withoutAuthor(findings.dmarc, dmarc));
  if (byDmarc) return byDmarc;
  if (unknown !== null && verify.on_dns_failure === 'tempfail') {
    return {
      action: 'tempfail',
      reason: `DNS cannot tell: ${unknown}`,
      reply: {
        code: '451',
        extended: '4.4.3',
        text: `DNS did not answer (${unknown}). Please try again later.`,
      },
    };
  }
  const { spf } = findings;
  if (spf?.result === 'fail' && verify.reject_spf_fail) {
    return {
      action: 'reject',
      reason: 'SPF fail',
      reply: { code: '550', extended: '5.7.23', text: `SPF fail: ${spf.explanation}` },
    };
  }
  if (unknown !== null) return { action: 'accept', reason: `DNS cannot tell: ${unknown}` };
  const isDoubtful = findings.dmarc?.result === 'permerror';
  return { action: 'accept', reason: isDoubtful ? doubtAbout(findings.dmarc) : 'nothing against it' };
}

/** What DMARC asks for; null if that is nothing. */
function dmarcDecision(result: DmarcResult | null, { on_quarantine }: Config['dmarc']): Decision | null {
  if (result?.result !== 'fail') return null;
  const { disposition, policy, domain, overrides } = result;
  const why = [
    `DMARC fail of ${domain}, p=${policy}`,
    ...overrides.map(({ type, comment }) => comment ?? type),
  ].join(', ');
  if (disposition === 'none') return { action: 'accept', reason: why };
  const action = disposition === 'quarantine' ? on_quarantine : 'reject';
  if (action !== 'reject') return { action, reason: why };
  const text = `DMARC: neither SPF nor DKIM shows that this mail is from ${domain}, which wants such mail refused.`;
  return { action, reason: why, reply: { code: '550', extended: '5.7.26', text } };
}

const doubtAbout = ({ reason }: DmarcResult): string => `DMARC permerror: ${reason}`;

/** A reader may show whoever is in a From field that DMARC cannot judge (RFC 9989 11.5). */
function withoutAuthor(result: DmarcResult | null, { policy, no_author }: Config['dmarc']): Decision | null {
  if (result?.result !== 'permerror' || policy !== 'enforce' || no_author === 'accept') return null;
  const reason = doubtAbout(result);
  if (no_author !== 'reject') return { action: no_author, reason };
  const text = 'The From field of your message must name one author, by an address with a domain.';
  return { action: 'reject', reason, reply: { code: '550', extended: '5.7.1', text } };
}

/** What DNS did not answer, and might have changed the decision. Nothing of that is ever a reason to refuse for good. */
function unansweredOf(
  { spf, dkim, arc, dmarc }: Findings,
  { trusted_sealers }: Config['dmarc'],
): string | null {
  if (arc.result === 'temperror' && mayBeTrusted(arc, trusted_sealers)) return 'ARC';
  if (dmarc?.result === 'temperror') return 'DMARC';
  if (spf?.result === 'temperror') return 'SPF';
  const passed = dkim.some(({ result }) => result === 'pass');
  return !passed && dkim.some(({ result }) => result === 'temperror') ? 'DKIM' : null;
}
