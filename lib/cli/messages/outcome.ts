/** What becomes of a message: a word, an exit code, and what is printed. */
import type { FeedResult } from '../../testing/simulator/feed.js';
import type { Response } from '../../testing/wire/replies.js';
import { EXIT } from '../command.js';
import { type Output, type Style, styled } from '../output.js';

/** What an MTA does with a message. */
export type Outcome = 'accepted' | 'quarantined' | 'rejected' | 'deferred' | 'discarded';

/** Exit codes: EX_UNAVAILABLE and EX_TEMPFAIL of sysexits.h, and the 99 by which qmail's programs drop a message. */
export const OUTCOME_EXIT: Readonly<Record<Outcome, number>> = {
  accepted: EXIT.ok,
  quarantined: EXIT.ok,
  rejected: 69,
  deferred: EXIT.tryAgain,
  discarded: 99,
};

/** For the help. */
export const OUTCOME_EXIT_CODES = { 69: 'rejected', 75: 'deferred', 99: 'discarded' } as const;

/** From worst to best, for the exit code of several messages. */
const SEVERITY: readonly Outcome[] = ['rejected', 'deferred', 'discarded', 'quarantined', 'accepted'];

const STYLES: Readonly<Record<Outcome, Style>> = {
  accepted: 'green',
  quarantined: 'yellow',
  rejected: 'red',
  deferred: 'yellow',
  discarded: 'red',
};

export function outcomeOf({ verdict, message }: Pick<FeedResult, 'verdict' | 'message'>): Outcome {
  switch (verdict) {
    case 'reject':
      return 'rejected';
    case 'tempfail':
    case 'shutdown':
    case 'connfail':
      return 'deferred';
    case 'discard':
      return 'discarded';
    default:
      return message.quarantine === null ? 'accepted' : 'quarantined';
  }
}

/** The exit code for several messages: that of the worst. */
export function exitCodeOf(outcomes: ReadonlySet<Outcome>): number {
  const worst = SEVERITY.find((outcome) => outcomes.has(outcome));
  return worst === undefined ? EXIT.ok : OUTCOME_EXIT[worst];
}

/** Prints a line for a message. */
export function printOutcome(output: Output, name: string, result: FeedResult): void {
  const outcome = outcomeOf(result);
  const { endedAt, message, response } = result;
  const where = endedAt === 'eom' ? '' : ` at ${endedAt}`;
  const reason = message.quarantine === null ? replyText(response) : `: ${message.quarantine}`;
  output.print(`${name}: `, styled(STYLES[outcome], outcome), `${where}${reason}`);
}

/** The reply that the SMTP client gets. On the wire percent signs are doubled. */
export function replyText({ verdict, reply }: Response): string {
  if (reply) return `: ${reply.text.replaceAll('%%', '%').replace(/\r?\n/g, ' / ')}`;
  return verdict === 'reject' || verdict === 'tempfail' ? " (with the MTA's own reply)" : '';
}
