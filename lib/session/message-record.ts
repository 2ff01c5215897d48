/** What is known of one message when it has ended. */

/** Recipients that are kept by address; the others are counted. */
const MAX_RECIPIENTS = 20;

/** How a message ended: by a verdict, or without one because the MTA or its client gave up. */
export type Outcome = 'continue' | 'accept' | 'discard' | 'reject' | 'tempfail' | 'abort';

/** A reply as setreply got it. */
export interface ReplyRecord {
  readonly code: string;
  readonly extended: string | null;
  readonly lines: readonly string[];
}

export class MessageRecord {
  /** When it began, in milliseconds of performance.now(). */
  readonly begun = performance.now();
  /** The MTA's queue id; null if it has not sent one. */
  queueId: string | null = null;
  /** The envelope sender; null if the filter does not handle MAIL. */
  sender: string | null = null;
  /** The first recipients, including those that were refused. */
  readonly recipients: string[] = [];
  /** All recipients, and those of them that the filter has refused. */
  recipientCount = 0;
  refusedCount = 0;
  /** Bytes of body that the handlers were given. */
  bodyBytes = 0;
  /** How often each action was called. */
  readonly changes = new Map<string, number>();
  /** The reply that was sent with a REJECT or TEMPFAIL; null if the MTA wrote its own. */
  reply: ReplyRecord | null = null;
  /** Milliseconds that its handlers took, including what they awaited. */
  milliseconds = 0;
  /** The step that ended it, by number. */
  step = -1;
  outcome: Outcome = 'abort';

  addRecipient(recipient: string): void {
    if (this.recipientCount++ < MAX_RECIPIENTS) this.recipients.push(recipient);
  }

  addChange(action: string): void {
    this.changes.set(action, (this.changes.get(action) ?? 0) + 1);
  }
}
