/**
 * The rules between libmilter and a session's handlers: the counterpart of native/bridge/session.cc, which has the reason
 * for each. Everything runs in one thread here, so nothing corresponds to the stop of the filter or to a JS thread that is
 * stuck.
 */

import { ACCEPT, CONTINUE, DISCARD, NOREPLY, P_SKIP, REJECT, SKIP, TEMPFAIL } from '../../addon/constants.js';
import type { ActionKind } from '../../addon/kinds.js';
import type { NegotiatedOptions } from '../../addon/native.js';
import {
  ABORT,
  bitOf,
  DEFERRABLE,
  ENVFROM,
  ENVRCPT,
  EOM,
  NEGOTIATE,
  TRANSACTION_STEPS,
  UNKNOWN,
} from '../../addon/steps.js';
import { DEFAULT_MAX_DATA_SIZE } from '../../internal/wire-text.js';
import type { SessionCalls, SessionDependencies } from '../../session/dependencies.js';
import { Session } from '../../session/session.js';
import { Batch } from './batch.js';
import type { Mta, ReplyArguments } from './mta.js';
import { type HandlerAnswer, PendingReply } from './pending-reply.js';

/** What all sessions of a test context share, except the side that talks to the MTA. */
export type SharedDependencies = Omit<SessionDependencies, 'addon'>;

/** Unused, because there is only one session. */
const SLOT = 0;

/** In effect until something is negotiated: all rights, and every step is passed to the handlers. */
const UNNEGOTIATED: NegotiatedOptions = {
  actions: 0xffffffff,
  protocol: 0,
  added: 0,
  asked: 0xffffffff,
  deferred: 0,
  silent: 0,
  macros: '',
};

/** Whether no further step of the message follows this verdict on one of its steps. */
function endsTransaction(step: number, verdict: number): boolean {
  if (verdict === ACCEPT || verdict === DISCARD) return true;
  if (verdict === REJECT || verdict === TEMPFAIL) return step !== ENVRCPT && step !== UNKNOWN;
  return step === EOM;
}

export class Bridge implements SessionCalls {
  readonly #mta: Mta;
  readonly #dependencies: SessionDependencies;
  readonly #pendingReply: PendingReply;
  #options: NegotiatedOptions;
  #batch = new Batch();
  /** The batch that is with the handlers, or was last. */
  #asked = this.#batch;
  /** Created with the first question: without one there is no close handler to call. */
  #session: Session | null = null;

  /** header, body: a handler answered SKIP. */
  #skipped = 0;
  /** The step that waits, or waited last. */
  #currentStep: number = NEGOTIATE;
  /** A reply for the end of the message. */
  #reply: ReplyArguments | null = null;
  /** A deferred handler's verdict on the message, given at its end. */
  #deferredVerdict: number | null = null;
  #inTransaction = false;

  constructor(mta: Mta, dependencies: SharedDependencies, options: NegotiatedOptions = UNNEGOTIATED) {
    this.#mta = mta;
    this.#dependencies = { ...dependencies, addon: this };
    this.#pendingReply = new PendingReply(mta);
    this.#options = options;
  }

  /** What was negotiated; a later session on the same connection (QUIT_NC) keeps it. */
  get options(): NegotiatedOptions {
    return this.#options;
  }

  // --- libmilter's side

  /** Passes the MTA's offer to the filter; the verdict is CONTINUE, with new `options`, or ALL_OPTS. */
  async negotiate(offer: readonly number[]): Promise<number> {
    this.#batch.add(NEGOTIATE, offer);
    const { verdict, options } = await this.#ask(NEGOTIATE);
    if (verdict === CONTINUE && options) this.#options = options;
    else this.#options = { ...UNNEGOTIATED, actions: offer[0] as number }; // ALL_OPTS
    return verdict;
  }

  /** Passes an event to its handler, or adds it to the batch; resolves to the verdict for libmilter. */
  async handle(step: number, ...args: readonly unknown[]): Promise<number> {
    await this.#endLostTransaction(step);
    const verdict = this.#answerWithoutHandler(step);
    if (verdict !== null) return verdict;
    this.#batch.add(step, args, this.#macrosOf(step));
    return this.#deliver(step);
  }

  /** The macros to be kept with an event; null if none are. */
  #macrosOf(step: number): string | null {
    if (this.#options.macros === '' || !(this.#options.deferred & ~DEFERRABLE & bitOf(step))) return null;
    return this.#options.macros
      .split(/\s+/)
      .map((name) => [name, this.#mta.getsymval(name)])
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name}\0${value}\0`)
      .join('');
  }

  /** Ends the session; resolves when the close handler is done. */
  close(): Promise<void> {
    this.#leaveTransaction();
    const session = this.#session;
    const { events } = this.#batch;
    this.#batch = new Batch();
    return session ? new Promise((resolve) => session.close(resolve, events)) : Promise.resolve();
  }

  // --- the handlers' side

  getsymval(_slot: number, question: number, name: string): string | null | undefined {
    return this.#pendingReply.isOpen(question) ? this.#mta.getsymval(name) : undefined;
  }

  setreply(_slot: number, question: number, ...reply: ReplyArguments): boolean | undefined {
    if (!this.#pendingReply.isOpen(question)) return undefined;
    if (this.#currentStep !== ABORT && !this.#has('deferred', this.#currentStep)) {
      return this.#mta.setreply(...reply);
    }
    this.#reply = reply;
    return true;
  }

  setsymlist(_slot: number, question: number, stage: number, macros: string): boolean | undefined {
    return this.#pendingReply.isOpen(question) ? this.#mta.setsymlist(stage, macros) : undefined;
  }

  queue(
    _slot: number,
    question: number,
    kind: ActionKind,
    index: number,
    first: string | Uint8Array,
    second: string | null,
  ): boolean {
    return this.#pendingReply.queue(question, { kind, index, first, second });
  }

  maxDataSize(): number {
    return DEFAULT_MAX_DATA_SIZE; // unless setmaxdatasize was called, or libmilter and MTA agree on SMFIP_MDS_
  }

  resetDeadline(_slot: number, question: number): boolean {
    return this.#pendingReply.isOpen(question);
  }

  releaseChunks(_slot: number, question: number, keepsNothing: boolean): boolean {
    if (keepsNothing) this.#asked.overwriteChunks();
    return this.#pendingReply.isOpen(question);
  }

  answer(
    _slot: number,
    question: number,
    verdict: number,
    beforeLast: boolean,
    keepsNothing: boolean,
  ): boolean {
    return this.#pendingReply.answer(question, { verdict, beforeLast, keepsNothing });
  }

  answerNegotiation(_slot: number, question: number, verdict: number, options: NegotiatedOptions): boolean {
    return this.#pendingReply.answer(question, { verdict, options });
  }

  negotiatedOptions(
    _slot: number,
    question: number,
  ): [actions: number, protocol: number, deferred: number, macros: string] | undefined {
    if (!this.#pendingReply.isOpen(question)) return undefined;
    const { actions, protocol, deferred, macros } = this.#options;
    return [actions, protocol, deferred, macros];
  }

  // --- a step

  #has(set: 'asked' | 'deferred' | 'silent', step: number): boolean {
    return (this.#options[set] & bitOf(step)) !== 0;
  }

  /** The message before may have ended without a last step. */
  async #endLostTransaction(step: number): Promise<void> {
    if (step !== ENVFROM || !this.#inTransaction) return;
    if (!this.#batch.empty) await this.#ask(ABORT);
    this.#leaveTransaction();
  }

  /** The answer to an event that no handler needs to see; null if one does. */
  #answerWithoutHandler(step: number): number | null {
    // libmilter passes it on between messages too, after some steps were negotiated away; Postfix sends it after every
    // message.
    if (step === ABORT && !this.#inTransaction) return CONTINUE;
    if (bitOf(step) & TRANSACTION_STEPS) this.#inTransaction = true;
    if (step === EOM && this.#reply) {
      this.#mta.setreply(...this.#reply);
      this.#reply = null;
    }
    if (this.#deferredVerdict !== null) {
      // The message has its verdict: no handler is called for it any more.
      if (step === EOM) return this.#finish(step, this.#deferredVerdict);
      if (step === ABORT) return this.#finish(step, CONTINUE);
      if (bitOf(step) & TRANSACTION_STEPS) return this.#defaultVerdict(step);
    }
    // The end of a message delivers the batch, whether or not it has a handler of its own.
    if ((step === EOM || step === ABORT) && !this.#batch.empty) return null;
    if (!this.#has('asked', step) || this.#skipped & bitOf(step)) {
      return this.#finish(step, this.#defaultVerdict(step));
    }
    return null;
  }

  async #deliver(step: number): Promise<number> {
    if (!this.#has('deferred', step)) {
      const { verdict, beforeLast } = await this.#ask(step);
      if (step === ABORT) return this.#finish(step, CONTINUE);
      if (beforeLast && step !== EOM) {
        this.#decideMessage(verdict);
        return this.#defaultVerdict(step);
      }
      if (verdict !== SKIP) return this.#finish(step, verdict);
      this.#skipped |= bitOf(step); // for an MTA that ignores SKIP, or does not know it
      return this.#options.protocol & P_SKIP ? this.#finish(step, verdict) : this.#defaultVerdict(step);
    }
    // The native side looks at the age of a batch too. Here that would make a test's outcome depend on its speed.
    if (this.#batch.full) {
      const { verdict } = await this.#ask(step);
      if (verdict === SKIP) this.#skipped |= bitOf(step);
      this.#decideMessage(verdict);
    }
    return this.#defaultVerdict(step);
  }

  /** Keeps the verdict on the message for its end. */
  #decideMessage(verdict: number): void {
    if (!this.#inTransaction || verdict === CONTINUE || verdict === NOREPLY || verdict === SKIP) return;
    this.#deferredVerdict = verdict;
  }

  /** The answer for libmilter if no handler decides. */
  #defaultVerdict(step: number): number {
    return this.#has('silent', step) ? NOREPLY : CONTINUE;
  }

  /** Passes the batch to the handlers; resolves when they have answered. */
  async #ask(step: number): Promise<HandlerAnswer> {
    this.#currentStep = step;
    const batch = this.#batch;
    this.#asked = batch;
    this.#batch = new Batch();
    this.#session ??= new Session(this.#dependencies, SLOT);
    const session = this.#session;
    const answer = await this.#pendingReply.open((question) => session.ask(question, batch.events));
    if (answer.keepsNothing) batch.overwriteChunks();
    return answer;
  }

  #finish(step: number, verdict: number): number {
    const ofMessage = (bitOf(step) & TRANSACTION_STEPS) !== 0;
    const silent = this.#has('silent', step);
    if (step === ABORT || (ofMessage && !silent && endsTransaction(step, verdict))) this.#leaveTransaction();
    if (silent) {
      // The verdict of a handler without reply (it failed) is given at the end of the message.
      if (ofMessage && verdict !== CONTINUE && verdict !== NOREPLY && verdict !== SKIP) {
        this.#deferredVerdict = verdict;
      }
      return NOREPLY;
    }
    if (verdict === NOREPLY) return CONTINUE; // the MTA waits for a reply
    // These have no meaning for a single command.
    if (step === UNKNOWN && (verdict === ACCEPT || verdict === DISCARD)) return CONTINUE;
    return verdict;
  }

  #leaveTransaction(): void {
    this.#skipped = 0;
    this.#deferredVerdict = null;
    this.#reply = null;
    this.#inTransaction = false;
  }
}
