/** What becomes of a message, and why. */
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

/** Extended codes are those of RFC 7372 and RFC 3463. */
export function decide(findings: Findings, { verify }: Pick<Config, 'verify'>): Decision {
  const unknown = unansweredOf(findings);
  if (unknown !== null && verify.onDnsFailure === 'tempfail') {
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
  if (spf?.result === 'fail' && verify.rejectSpfFail) {
    return {
      action: 'reject',
      reason: 'SPF fail',
      reply: { code: '550', extended: '5.7.23', text: `SPF fail: ${spf.explanation}` },
    };
  }
  return {
    action: 'accept',
    reason: unknown === null ? 'nothing against it' : `DNS cannot tell: ${unknown}`,
  };
}

/** What DNS did not answer. Nothing of that is ever a reason to refuse a message for good. */
function unansweredOf({ spf, dkim }: Findings): string | null {
  if (spf?.result === 'temperror') return 'SPF';
  const passed = dkim.some(({ result }) => result === 'pass');
  return !passed && dkim.some(({ result }) => result === 'temperror') ? 'DKIM' : null;
}
