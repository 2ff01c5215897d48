/** From findings to what is done with a recipient or a message. */
import type { ActiveRule } from './config';
import { type Finding, MODES, type Mode } from './rule';
import { shortened } from './shown';

/** A finding of a rule that is on. */
export interface Judged {
  readonly rule: ActiveRule;
  readonly finding: Finding;
  /** What the finding does. */
  readonly mode: Exclude<Mode, 'off'>;
}

export interface SmtpReply {
  readonly code: string;
  readonly extended: string;
  readonly text: string;
}

/** Characters of a reason and of a reply: a list in DNS may have a hundred answers to one question, and a field has to hold them. */
const MAX_TEXT = 700;

const cut = (text: string): string => shortened(text, MAX_TEXT);

const severity = (mode: Mode): number => MODES.indexOf(mode);

/** The mode of the rule, unless the finding itself is less severe. What the finding says is cut to a length that a field can have. */
export function judge(rule: ActiveRule, finding: Finding): Judged {
  const { atMost = 'reject', reason, reply = reason } = finding;
  const limited = severity(atMost) < severity(rule.mode) && atMost !== 'off' ? atMost : rule.mode;
  return { rule, finding: { ...finding, reason: cut(reason), reply: cut(reply) }, mode: limited };
}

/** The most severe finding, of several the first; null if there is none that does anything. */
export function worstOf(all: Iterable<Judged>): Judged | null {
  let worst: Judged | null = null;
  for (const judged of all) {
    if (judged.mode !== 'dry-run' && severity(judged.mode) > severity(worst?.mode ?? 'off')) worst = judged;
  }
  return worst;
}

export function refuses(judged: Judged | null): judged is Judged {
  return judged?.mode === 'reject' || judged?.mode === 'defer';
}

/** What the client is told about a finding that refuses. */
export function replyOf({ finding, mode }: Judged): SmtpReply {
  const { reason, reply = reason, detail = '7.1' } = finding;
  const permanent = mode === 'reject';
  return { code: permanent ? '550' : '451', extended: `${permanent ? 5 : 4}.${detail}`, text: reply };
}
