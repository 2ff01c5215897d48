/** One session as its observer is told of it: the ends of its messages, its verdicts, and how long its handlers took. */

import { ACCEPT, CONTINUE, DISCARD, NOREPLY, REJECT, SKIP, TEMPFAIL } from '../addon/constants.js';
import type { Events } from '../addon/events.js';
import { ActionKind } from '../addon/kinds.js';
import {
  ABORT,
  BODY,
  bitOf,
  CONNECT,
  ENVFROM,
  ENVRCPT,
  EOM,
  HELO,
  TRANSACTION_STEPS,
} from '../addon/steps.js';
import { MessageRecord, type Outcome, type ReplyRecord } from './message-record.js';
import type { Observer } from './observer.js';
import type { SessionIdentity } from './session-identity.js';

const OUTCOMES: ReadonlyMap<number, Outcome> = new Map<number, Outcome>([
  [ACCEPT, 'accept'],
  [DISCARD, 'discard'],
  [REJECT, 'reject'],
  [TEMPFAIL, 'tempfail'],
]);

const ACTION_NAMES = Object.keys(ActionKind) as (keyof typeof ActionKind)[];

/** Verdicts with which the session or the message goes on. */
const GOES_ON: ReadonlySet<number> = new Set([CONTINUE, NOREPLY, SKIP]);
const REFUSALS: ReadonlySet<number> = new Set([REJECT, TEMPFAIL]);

/**
 * Whether this verdict is the last one on its message.
 * @param deferred whether it takes effect at the end of the message, whichever step it is the verdict of
 */
function endsMessage(step: number, verdict: number, deferred: boolean): boolean {
  if (step === EOM || step === ABORT) return true;
  if (!(bitOf(step) & TRANSACTION_STEPS) || GOES_ON.has(verdict)) return false;
  return deferred || step !== ENVRCPT || !REFUSALS.has(verdict);
}

function outcomeOf(step: number, verdict: number): Outcome {
  return step === ABORT ? 'abort' : (OUTCOMES.get(verdict) ?? 'continue');
}

export class FollowedSession {
  readonly #identity: SessionIdentity;
  readonly #observer: Observer;
  #message: MessageRecord | null = null;
  #reply: ReplyRecord | null = null;
  /** The step whose handler was called last. */
  #step = -1;
  /** When the first handler of the open question was called, and the last one, in milliseconds of performance.now(); 0: never. */
  #asked = 0;
  #entered = 0;
  /** Events whose handlers have been called for the open question. */
  #events = 0;

  constructor(identity: SessionIdentity, observer: Observer) {
    this.#identity = identity;
    this.#observer = observer;
    observer.sessionBegun?.(identity);
  }

  /** An event's handler is about to be called. */
  enter(step: number, events: Events, at: number): void {
    this.#step = step;
    this.#events++;
    if (bitOf(step) & TRANSACTION_STEPS) this.#enterMessage(step, events[at]);
    if (this.#asked === 0) this.#asked = this.#entered = performance.now();
  }

  /** The handler has answered, or another has answered in its place. */
  leave(): void {
    if (!this.#observer.handled || this.#asked === 0) return;
    const now = performance.now();
    this.#observer.handled(this.#identity, this.#step, now - this.#entered);
    this.#entered = now; // the next handler of the batch is called at once
  }

  /** A question is about to be answered: macros can be read for the last time. */
  deciding(step: number, verdict: number, deferred: boolean): void {
    if (this.#message && endsMessage(step, verdict, deferred)) this.#identity.rememberQueueId();
  }

  /**
   * A question was answered. Not called where another answer came first, which {@link interrupt} tells.
   * @param deferred whether the step's verdict takes effect at the end of the message
   */
  decided(step: number, verdict: number, deferred: boolean): void {
    if (this.#asked > 0) this.#endQuestion();
    if (endsMessage(step, verdict, deferred)) this.#endMessage(step, outcomeOf(step, verdict));
    else if (step === ENVRCPT && REFUSALS.has(verdict)) this.#refuseRecipient();
    else if ((step === CONNECT || step === HELO) && !GOES_ON.has(verdict))
      this.#observer.sessionDecided?.(this.#identity, step, outcomeOf(step, verdict));
  }

  /** A question was answered in place of its handlers, on libmilter's thread. */
  interrupt(verdict: number): void {
    this.leave();
    this.#reply = null; // what the handler had set was not sent
    this.decided(this.#step, verdict, false);
  }

  /** A change was requested. */
  changed(kind: ActionKind): void {
    if (kind !== ActionKind.progress) this.#message?.addChange(ACTION_NAMES[kind] as string);
  }

  /** A reply was set. */
  replied(code: string, extended: string | null, lines: readonly string[]): void {
    this.#reply = { code, extended, lines };
  }

  /** The session has ended. */
  end(): void {
    this.#endMessage(ABORT, 'abort');
    this.#observer.sessionEnded?.(this.#identity);
  }

  #endQuestion(): void {
    if (this.#message) this.#message.milliseconds += performance.now() - this.#asked;
    this.#observer.answered?.(this.#identity, this.#events);
    this.#asked = 0;
    this.#events = 0;
  }

  #enterMessage(step: number, argument: unknown): void {
    if (step === ENVFROM) this.#endMessage(ABORT, 'abort'); // the MTA has not told of the last one's end
    // Only now: what is reported after the end of a message, such as a change that could not be written, is about that message.
    if (!this.#message) this.#identity.knownQueueId = null;
    this.#message ??= new MessageRecord();
    const message = this.#message;
    if (step === ENVFROM) message.sender = argument as string;
    else if (step === ENVRCPT) message.addRecipient(argument as string);
    else if (step === BODY) message.bodyBytes += (argument as Uint8Array).length;
  }

  /** A reply to RCPT is for one recipient; the message goes on. */
  #refuseRecipient(): void {
    if (this.#message) this.#message.refusedCount++;
    this.#reply = null;
  }

  #endMessage(step: number, outcome: Outcome): void {
    const message = this.#message;
    if (!message) return;
    message.queueId = this.#identity.knownQueueId;
    message.step = step;
    message.outcome = outcome;
    const refusal = outcome === 'reject' ? '5' : outcome === 'tempfail' ? '4' : null;
    if (refusal !== null && this.#reply?.code.startsWith(refusal)) message.reply = this.#reply;
    this.#reply = null;
    this.#message = null;
    this.#observer.messageEnded?.(this.#identity, message);
  }
}
