/**
 * What stands between libmilter and a session's handlers, in this process and thread: the counterpart of
 * native/bridge/session.cc and pending_reply.cc, which say why each rule is as it is. Threads, the stop of the filter and a
 * JS thread that is stuck have no counterpart here.
 */

import { types } from 'node:util';
import { ACCEPT, CONTINUE, DISCARD, NOREPLY, P_SKIP, REJECT, SKIP, TEMPFAIL } from '../../addon/constants.js';
import { ActionKind } from '../../addon/kinds.js';
import type { NegotiatedOptions } from '../../addon/native.js';
import {
  ABORT,
  bitOf,
  ENVFROM,
  ENVRCPT,
  EOM,
  NEGOTIATE,
  TRANSACTION_STEPS,
  UNKNOWN,
} from '../../addon/steps.js';
import { encodeBytes } from '../../internal/bytes.js';
import type { SessionCalls, SessionDependencies } from '../../session/dependencies.js';
import { Session } from '../../session/session.js';

/** An action, as a handler has queued it. */
export interface Action {
  readonly kind: ActionKind;
  readonly index: number;
  readonly first: string | Uint8Array;
  readonly second: string | null;
}

/** The session with the MTA as libmilter offers it (native/bridge/mta.h). */
export interface Mta {
  getsymval(name: string): string | null;
  setreply(code: string, extended: string | null, lines: readonly string[]): boolean;
  setsymlist(stage: number, macros: string): boolean;
  perform(action: Action): void;
}

/** What all sessions of a test context share, but for the side that talks to the MTA. */
export type SharedDependencies = Omit<SessionDependencies, 'addon'>;

interface Answer {
  readonly verdict: number;
  readonly agreement?: NegotiatedOptions;
}

/** Bytes of text and body that a batch holds at most. */
const FULL_BATCH = 256 * 1024;
/** There is one session: its slot is of no account. */
const SLOT = 0;

/** What holds until something is negotiated: all rights, every step asked about. */
const UNNEGOTIATED: NegotiatedOptions = {
  actions: 0xffffffff,
  protocol: 0,
  added: 0,
  asked: 0xffffffff,
  deferred: 0,
  silent: 0,
};

/** Whether this answer to a step of a message means that no further step of that message will come. */
function endsMessage(step: number, verdict: number): boolean {
  if (verdict === ACCEPT || verdict === DISCARD) return true;
  if (verdict === REJECT || verdict === TEMPFAIL) return step !== ENVRCPT && step !== UNKNOWN;
  return step === EOM;
}

/** Events of a session that are handed over together. */
class Batch {
  readonly events: unknown[] = [];
  /** Bytes of their arguments. */
  size = 0;

  add(step: number, args: readonly unknown[]): void {
    this.events.push(step, args.length, ...args);
    for (const arg of args) {
      if (typeof arg === 'string') this.size += encodeBytes(arg).length;
      else if (types.isUint8Array(arg)) this.size += arg.length;
    }
  }
}

export class Bridge implements SessionCalls {
  readonly #mta: Mta;
  readonly #dependencies: SessionDependencies;
  #agreement = UNNEGOTIATED;
  #batch = new Batch();
  /** Made with the first question: a session nobody has heard of has no close. */
  #session: Session | null = null;

  /** header, body: a handler answered SKIP. */
  #skipped = 0;
  /** The step that waits, or waited last. */
  #asking: number = NEGOTIATE;
  /** A reply for the end of the message. */
  #reply: readonly [code: string, extended: string | null, lines: readonly string[]] | null = null;
  /** A deferred handler's verdict on the message, given at its end. */
  #deferred: number | null = null;
  #inMessage = false;

  #lastQuestion = 0;
  #resolve: ((answer: Answer) => void) | null = null;
  #queued: Action[] = [];

  constructor(mta: Mta, dependencies: SharedDependencies, terms: NegotiatedOptions = UNNEGOTIATED) {
    this.#mta = mta;
    this.#dependencies = { ...dependencies, addon: this };
    this.#agreement = terms;
  }

  /** What was negotiated; a later session on the same connection (QUIT_NC) keeps it. */
  get terms(): NegotiatedOptions {
    return this.#agreement;
  }

  // --- libmilter's side

  /** Brings the MTA's offer before the filter; the verdict is CONTINUE, with the terms, or ALL_OPTS. */
  async negotiate(offer: readonly number[]): Promise<number> {
    this.#batch.add(NEGOTIATE, offer);
    const { verdict, agreement } = await this.#ask(NEGOTIATE);
    if (verdict === CONTINUE && agreement) this.#agreement = agreement;
    else this.#agreement = { ...UNNEGOTIATED, actions: offer[0] as number }; // ALL_OPTS
    return verdict;
  }

  /** Brings one event before its handler, or into the batch; resolves to what libmilter is told. */
  async handle(step: number, ...args: readonly unknown[]): Promise<number> {
    const settled = this.#settle(step);
    if (settled !== null) return settled;
    this.#batch.add(step, args);
    return this.#carry(step);
  }

  /** The session is over; resolves when the close handler is done. */
  close(): Promise<void> {
    this.#leaveMessage();
    const session = this.#session;
    return session ? new Promise((resolve) => session.close(resolve)) : Promise.resolve();
  }

  // --- the handlers' side

  getsymval(_slot: number, question: number, name: string): string | null | undefined {
    return this.#isOpen(question) ? this.#mta.getsymval(name) : undefined;
  }

  setreply(
    _slot: number,
    question: number,
    code: string,
    extended: string | null,
    lines: readonly string[],
  ): boolean | undefined {
    if (!this.#isOpen(question)) return undefined;
    if (this.#asking !== ABORT && !this.#has('deferred', this.#asking)) {
      return this.#mta.setreply(code, extended, lines);
    }
    this.#reply = [code, extended, lines];
    return true;
  }

  setsymlist(_slot: number, question: number, stage: number, macros: string): boolean | undefined {
    return this.#isOpen(question) ? this.#mta.setsymlist(stage, macros) : undefined;
  }

  queue(
    _slot: number,
    question: number,
    kind: ActionKind,
    index: number,
    first: string | Uint8Array,
    second: string | null,
  ): boolean {
    if (!this.#isOpen(question)) return false;
    const action = { kind, index, first, second };
    if (kind === ActionKind.progress) this.#mta.perform(action);
    else this.#queued.push(action);
    return true;
  }

  resetDeadline(_slot: number, question: number): boolean {
    return this.#isOpen(question);
  }

  answer(_slot: number, question: number, verdict: number): boolean {
    return this.#give(question, { verdict });
  }

  answerNegotiation(_slot: number, question: number, verdict: number, agreement: NegotiatedOptions): boolean {
    return this.#give(question, { verdict, agreement });
  }

  negotiatedOptions(_slot: number, question: number): [actions: number, protocol: number] | undefined {
    return this.#isOpen(question) ? [this.#agreement.actions, this.#agreement.protocol] : undefined;
  }

  // --- the question

  /** Hands the batch over; resolves when it is answered and its actions are performed. */
  #ask(step: number): Promise<Answer> {
    this.#asking = step;
    this.#queued = [];
    const { events } = this.#batch;
    this.#batch = new Batch();
    this.#session ??= new Session(this.#dependencies, SLOT);
    const session = this.#session;
    const question = ++this.#lastQuestion;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      session.ask(question, events);
    });
  }

  #isOpen(question: number): boolean {
    return this.#resolve !== null && question === this.#lastQuestion;
  }

  #give(question: number, answer: Answer): boolean {
    if (!this.#isOpen(question)) return false;
    const resolve = this.#resolve;
    this.#resolve = null;
    for (const action of this.#queued) this.#mta.perform(action);
    resolve?.(answer);
    return true;
  }

  // --- a step

  #has(set: 'asked' | 'deferred' | 'silent', step: number): boolean {
    return (this.#agreement[set] & bitOf(step)) !== 0;
  }

  /** The answer to an event that no handler needs to see; null where one does. */
  #settle(step: number): number | null {
    // Let through between messages too, where steps were left out; Postfix sends it after every message.
    if (step === ABORT && !this.#inMessage) return CONTINUE;
    if (bitOf(step) & TRANSACTION_STEPS) {
      if (step === ENVFROM) this.#leaveMessage(); // an earlier message that ended without a word
      this.#inMessage = true;
    }
    if (step === EOM && this.#reply) {
      this.#mta.setreply(...this.#reply);
      this.#reply = null;
    }
    if (this.#deferred !== null) {
      // The message has its verdict: nothing more is brought before the handlers.
      if (step === EOM) return this.#finish(step, this.#deferred);
      if (step === ABORT) return this.#finish(step, CONTINUE);
      if (bitOf(step) & TRANSACTION_STEPS) return this.#passive(step);
    }
    // The end of a message takes the batch along, whether or not it has a handler of its own.
    if ((step === EOM || step === ABORT) && this.#batch.events.length > 0) return null;
    if (!this.#has('asked', step) || this.#skipped & bitOf(step)) {
      return this.#finish(step, this.#passive(step));
    }
    return null;
  }

  async #carry(step: number): Promise<number> {
    if (!this.#has('deferred', step)) {
      const { verdict } = await this.#ask(step);
      if (verdict !== SKIP) return this.#finish(step, verdict);
      this.#skipped |= bitOf(step); // for the MTA that goes on all the same, or does not know the word
      return this.#agreement.protocol & P_SKIP ? this.#finish(step, verdict) : this.#passive(step);
    }
    // A batch's age, which the native side looks at too, would make a test's outcome a matter of speed.
    if (this.#batch.size >= FULL_BATCH) {
      const { verdict } = await this.#ask(step);
      if (verdict === SKIP) this.#skipped |= bitOf(step);
      else if (verdict !== CONTINUE && verdict !== NOREPLY) this.#deferred = verdict;
    }
    return this.#passive(step);
  }

  /** The answer that libmilter gets where no handler's counts. */
  #passive(step: number): number {
    return this.#has('silent', step) ? NOREPLY : CONTINUE;
  }

  #finish(step: number, verdict: number): number {
    const ofMessage = (bitOf(step) & TRANSACTION_STEPS) !== 0;
    const silent = this.#has('silent', step);
    if (step === ABORT || (ofMessage && !silent && endsMessage(step, verdict))) this.#leaveMessage();
    if (silent) {
      // What a handler without reply says of a message (it failed) holds at the message's end.
      if (ofMessage && verdict !== CONTINUE && verdict !== NOREPLY && verdict !== SKIP) {
        this.#deferred = verdict;
      }
      return NOREPLY;
    }
    if (verdict === NOREPLY) return CONTINUE; // the MTA waits for a reply
    // These say nothing of a command.
    if (step === UNKNOWN && (verdict === ACCEPT || verdict === DISCARD)) return CONTINUE;
    return verdict;
  }

  #leaveMessage(): void {
    this.#batch = new Batch();
    this.#skipped = 0;
    this.#deferred = null;
    this.#reply = null;
    this.#inMessage = false;
  }
}
