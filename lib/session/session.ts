/**
 * One session on its JS thread: runs the handlers of its events one by one, in order, each awaited, and answers.
 *
 * A question is a batch of events whose last one libmilter's thread waits on. Its answer is the first verdict other than
 * CONTINUE, or that on the last event; that on a step without reply outside of a message does not count. Only one question is
 * open at a time. A handler that is still running when its question has been answered without it (because it timed out, or the
 * filter stops) runs to its end, but its answer is only reported (R6).
 */

import { ALL_OPTS, CONTINUE, NOREPLY, SKIP } from '../addon/constants.js';
import { type Events, WITH_MACROS } from '../addon/events.js';
import { ActionKind } from '../addon/kinds.js';
import type { Status } from '../addon/status.js';
import {
  ABORT,
  BODY,
  bitOf,
  CLOSE,
  CONNECT,
  ENVRCPT,
  EOM,
  NEGOTIATE,
  STEP_NAMES,
  TRANSACTION_STEPS,
} from '../addon/steps.js';
import { MilterError } from '../internal/errors.js';
import type { Logger } from '../internal/logger.js';
import { ownPromise } from '../internal/own-promise.js';
import { callHandler } from './call-handler.js';
import { type Backend, Context } from './context.js';
import type { SessionDependencies } from './dependencies.js';
import { FollowedSession } from './followed-session.js';
import { HandlerWait } from './handler-wait.js';
import { addAsked, KeptMacros, macroNotKept } from './kept-macros.js';
import { Negotiation } from './negotiation.js';
import type { NegotiationOptions } from './negotiation-options.js';
import type { SessionFacts } from './observer.js';
import { comesAgain, endsWith, NO_QUESTION, passChunk, type Run, runOf } from './run.js';
import { SessionIdentity } from './session-identity.js';
import { checkStatus } from './status.js';

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null)?.then === 'function';

export class Session implements Backend {
  readonly context: Context;
  readonly #dependencies: SessionDependencies;
  readonly #slot: number;
  readonly #identity: SessionIdentity;
  /** Null if nothing follows the session, so that its events cost nothing more. */
  readonly #followed: FollowedSession | null;
  #question = 0;
  /** Whether a question has come yet. */
  #started = false;
  #negotiation: Negotiation | null = null;
  /** The steps that are collected, and the macros that are kept with them. */
  #deferred = 0;
  #macroNames = '';
  /** The run of handlers, and the macros of its present event if they were kept. */
  #run: Run | null = null;
  #keptMacros: KeptMacros | null = null;
  /** libmilter has ended the session; the handlers of the events that were left run. */
  #closing = false;
  /** The handler that is awaited. */
  #wait: HandlerWait | null = null;

  constructor(dependencies: SessionDependencies, slot: number) {
    this.#dependencies = dependencies;
    this.#slot = slot;
    this.context = new Context(this);
    this.context.maxDataSize = dependencies.addon.maxDataSize();
    const { observer = null, logger, prefix } = dependencies.observation ?? {};
    // A message keeps its queue id, so its present value is right also for an event that came before the MTA sent it.
    this.#identity = new SessionIdentity((name) => this.#presentMacro(name), logger, prefix);
    this.#followed = observer && new FollowedSession(this.#identity, observer);
  }

  // --- what the dispatcher calls

  /** Runs the handlers of a question. */
  ask(question: number, events: Events): void {
    this.#abandonHandler();
    this.#question = question;
    if (!this.#started) {
      this.#started = true;
      if (events[0] !== NEGOTIATE) this.#adoptNegotiated(question);
    }
    const end = (step: number, verdict: number, beforeLast: boolean) => {
      if (!this.#answer(question, step, verdict, beforeLast)) this.#reportLateAnswer(step);
    };
    this.#advance(runOf(question, events, end));
  }

  /**
   * The open question has been answered without its handler, for the reason in `error`.
   * @param verdict what the MTA was told
   * @param reportsLateAnswer whether the handler's own answer is reported when it comes
   */
  interrupt(error: MilterError, verdict: number, reportsLateAnswer = true): void {
    this.#followed?.interrupt(verdict);
    this.#abandonHandler(reportsLateAnswer);
    this.context.interrupt(error);
  }

  /**
   * The session is over; `onClosed` is called when the close handler is done.
   * @param events those that nothing has followed: steps without reply, whose handlers run first
   */
  close(onClosed: () => void, events: Events = []): void {
    this.#abandonHandler();
    this.#question = NO_QUESTION;
    this.#closing = true;
    const end = () => this.#callCloseHandler(onClosed);
    if (events.length === 0) end();
    else this.#advance(runOf(NO_QUESTION, events, end));
  }

  #callCloseHandler(onClosed: () => void): void {
    this.context.detach();
    const finish = () => {
      this.context.end();
      this.#followed?.end();
      onClosed();
    };
    const fail = (error: unknown) => {
      this.#dependencies.exceptions.report(error, STEP_NAMES[CLOSE], this.facts);
      finish();
    };
    try {
      const result = this.#dependencies.callbacks.close?.(this.context);
      if (isPromise(result)) ownPromise(result).then(finish, fail);
      else finish();
    } catch (error) {
      fail(error);
    }
  }

  // --- Backend: what the context asks of the MTA

  get facts(): SessionFacts {
    return this.#identity.facts;
  }

  get log(): Logger {
    return this.#identity.log;
  }

  getsymval(name: string): string | null | undefined {
    if (!this.#keptMacros) return this.#presentMacro(name);
    const value = this.#keptMacros.get(name);
    return value === undefined ? this.#unkeptMacro(name, this.#run as Run) : value;
  }

  setreply(code: string, extended: string | null, lines: readonly string[]): boolean | undefined {
    if (this.#closing) return true; // of a step without reply: it would not have been sent
    const done = this.#dependencies.addon.setreply(this.#slot, this.#question, code, extended, lines);
    if (done) this.#followed?.replied(code, extended, lines);
    return done;
  }

  setsymlist(stage: number, macros: string): boolean | undefined {
    return this.#dependencies.addon.setsymlist(this.#slot, this.#question, stage, macros);
  }

  queue(kind: ActionKind, index: number, first: string | Uint8Array, second: string | null): boolean {
    const queued = this.#dependencies.addon.queue(this.#slot, this.#question, kind, index, first, second);
    if (queued) this.#followed?.changed(kind);
    return queued;
  }

  // --- macros

  #presentMacro(name: string): string | null | undefined {
    return this.#dependencies.addon.getsymval(this.#slot, this.#question, name);
  }

  /**
   * A macro that was not kept. If the MTA has none by now, it had none then: libmilter forgets the macros of later steps only,
   * unless the same step has come again. @throws MilterError ERR_MILTER_MACRO_NOT_KEPT
   */
  #unkeptMacro(name: string, run: Run): null {
    if (this.context.plan) addAsked(this.context.plan.macros, name);
    if (!comesAgain(run) && this.#presentMacro(name) === null) return null;
    throw macroNotKept(name, STEP_NAMES[run.step] as string);
  }

  // --- the run of a question's handlers

  #advance(run: Run): void {
    this.#run = run;
    const { context } = this;
    const { callbacks } = this.#dependencies;
    const { events } = run;
    while (run.at < events.length) {
      const word = events[run.at] as number;
      const step = word & ~WITH_MACROS;
      let at = run.at + 2;
      let count = events[run.at + 1] as number;
      run.step = step;
      run.at = at + count;
      if (this.#keptMacros !== null) this.#keptMacros = null;
      if (word & WITH_MACROS) {
        this.#keptMacros = new KeptMacros(events[at] as string, this.#macroNames);
        at++;
        count--;
      }
      let verdict: number;
      if (run.skipped & bitOf(step)) {
        verdict = SKIP;
      } else {
        if (step === EOM && run.largeChunks) this.#releaseChunks(run);
        context.enter(step);
        if (step === CONNECT) this.#identity.connected(events.slice(at, at + count));
        else if (step === ENVRCPT) context.recipient(events[at] as string);
        this.#followed?.enter(step, events, at);
        try {
          const result =
            step === NEGOTIATE
              ? this.#negotiate(events, at)
              : callHandler(callbacks, context, step, events, at, count);
          if (step === BODY) passChunk(run, at);
          if (isPromise(result)) {
            this.#await(run, step, result);
            context.leave();
            return;
          }
          verdict = this.#check(step, result);
        } catch (error) {
          verdict = this.#fail(step, error);
        }
        context.leave();
        this.#followed?.leave();
      }
      if (!this.#proceed(run, step, verdict)) return;
    }
  }

  /** The handler of the end may take long: the memory of the chunks is not kept for it. */
  #releaseChunks(run: Run): void {
    this.#dependencies.addon.releaseChunks(this.#slot, run.question, this.#keepsNothing());
  }

  /** Whether the run goes on after this verdict. Where it does not, the verdict is the question's answer. */
  #proceed(run: Run, step: number, answered: number): boolean {
    const last = run.at >= run.events.length;
    if (!last && (answered === CONTINUE || answered === NOREPLY)) return true;
    const verdict = this.#deferred & ~TRANSACTION_STEPS & bitOf(step) ? CONTINUE : answered;
    if (!last && verdict === CONTINUE) return true;
    if (!last && verdict === SKIP) {
      run.skipped |= bitOf(step);
      return true;
    }
    run.end(step, verdict, !last);
    this.#keptMacros = null;
    return false;
  }

  /** Whether the answer was the first one. */
  #answer(question: number, step: number, verdict: number, beforeLast: boolean): boolean {
    const deferred = (this.#deferred & bitOf(step)) !== 0;
    this.#followed?.deciding(step, verdict, deferred);
    const isFirst = this.#give(question, step, verdict, beforeLast);
    if (isFirst) this.#followed?.decided(step, verdict, deferred);
    return isFirst;
  }

  #give(question: number, step: number, verdict: number, beforeLast: boolean): boolean {
    const { addon, options } = this.#dependencies;
    if (step !== NEGOTIATE || !this.#negotiation) {
      return addon.answer(this.#slot, question, verdict, beforeLast, this.#keepsNothing());
    }
    const negotiated = this.#negotiation.conclude(verdict, options.immediate, this.#followed !== null);
    if (verdict === CONTINUE) this.#rememberDeferred(negotiated.deferred, negotiated.macros);
    return addon.answerNegotiation(this.#slot, question, verdict, negotiated);
  }

  /** Whether no handler uses a chunk any more: one that has timed out may still do so. */
  #keepsNothing(): boolean {
    return this.context.plan?.borrowed === true && this.context.overruns === 0;
  }

  #negotiate(events: Events, at: number): unknown {
    const offer = events.slice(at, at + 4) as NegotiationOptions;
    this.#negotiation = new Negotiation(this.#dependencies.callbacks, this.context, offer);
    return this.#negotiation.callHandler();
  }

  /** What an earlier session on the same connection negotiated holds for this one (QUIT_NC). */
  #adoptNegotiated(question: number): void {
    const negotiated = this.#dependencies.addon.negotiatedOptions(this.#slot, question);
    if (!negotiated) return;
    const [actions, protocol, deferred, macros] = negotiated;
    this.context.actions = actions;
    this.context.protocol = protocol;
    this.#rememberDeferred(deferred, macros);
  }

  #rememberDeferred(deferred: number, macros: string): void {
    this.#deferred = deferred;
    this.#macroNames = macros;
  }

  #check(step: number, value: unknown): Status | typeof ALL_OPTS {
    if (step === ABORT) return CONTINUE; // the MTA expects no answer
    if (step === NEGOTIATE) return this.#checkNegotiation(value);
    return checkStatus(STEP_NAMES[step] as string, value);
  }

  #checkNegotiation(value: unknown): Status | typeof ALL_OPTS {
    if (value === ALL_OPTS) return ALL_OPTS;
    const verdict = checkStatus('negotiate', value);
    if (verdict === CONTINUE) this.#negotiation?.checkChoice();
    return verdict;
  }

  /** Reports a handler's error, and returns the verdict in place of its own. */
  #fail(step: number, error: unknown): number {
    const { exceptions } = this.#dependencies;
    exceptions.report(error, STEP_NAMES[step] as string, this.facts);
    if (step === NEGOTIATE) return ALL_OPTS;
    if (step === ABORT) return CONTINUE;
    this.context.enter(step); // the policy may set its reply, whether or not the failed handler still could
    const verdict = exceptions.apply(this.context);
    this.context.leave();
    return verdict;
  }

  // --- handlers that return a promise

  #await(run: Run, step: number, result: PromiseLike<unknown>): void {
    const { addon, options } = this.#dependencies;
    const wait = new HandlerWait();
    this.#wait = wait;
    addon.resetDeadline(this.#slot, run.question);
    if (options.handlerTimeout > 0) wait.limit(options.handlerTimeout, () => this.#timeOut(run, step, wait));
    if (options.progressInterval > 0 && endsWith(run.events, EOM)) {
      wait.every(options.progressInterval, () => this.#sendProgress(run));
    }
    ownPromise(result).then(
      (value) => this.#settle(run, step, wait, () => this.#check(step, value)),
      (error: unknown) =>
        this.#settle(
          run,
          step,
          wait,
          () => {
            throw error;
          },
          { cause: error },
        ),
    );
  }

  /** The handler's promise has settled; `late` are the options of the error that reports it where it came too late. */
  #settle(run: Run, step: number, wait: HandlerWait, verdictOf: () => number, late?: ErrorOptions): void {
    if (wait.over) {
      this.context.overruns--;
      if (wait.reportsLateAnswer) this.#reportLateAnswer(step, late);
      return;
    }
    this.#endWait(wait);
    this.#followed?.leave();
    let verdict: number;
    try {
      verdict = verdictOf();
    } catch (error) {
      verdict = this.#fail(step, error);
    }
    this.#resume(run, step, verdict);
  }

  #resume(run: Run, step: number, verdict: number): void {
    if (this.#proceed(run, step, verdict)) this.#advance(run);
  }

  #timeOut(run: Run, step: number, wait: HandlerWait): void {
    this.#endWait(wait);
    this.context.overruns++;
    const error = new MilterError(
      'ERR_MILTER_HANDLER_TIMEOUT',
      `${STEP_NAMES[step]} did not answer within ${this.#dependencies.options.handlerTimeout} ms (handlerTimeout)`,
    );
    this.#followed?.leave();
    const verdict = this.#fail(step, error);
    this.context.interrupt(error);
    this.#resume(run, step, verdict);
  }

  #sendProgress(run: Run): void {
    const { addon } = this.#dependencies;
    addon.resetDeadline(this.#slot, run.question);
    addon.queue(this.#slot, run.question, ActionKind.progress, 0, '', null);
  }

  #endWait(wait: HandlerWait): void {
    wait.end();
    if (this.#wait === wait) this.#wait = null;
  }

  /** Stops waiting for the handler that is awaited, if any. */
  #abandonHandler(reportsLateAnswer = true): void {
    if (!this.#wait) return;
    this.#wait.reportsLateAnswer = reportsLateAnswer;
    this.#endWait(this.#wait);
    this.context.overruns++;
  }

  /** R6: only the first answer counts. */
  #reportLateAnswer(step: number, options?: ErrorOptions): void {
    const name = STEP_NAMES[step] as string;
    this.#dependencies.exceptions.report(
      new MilterError(
        'ERR_MILTER_LATE_ANSWER',
        `${name} answered after an answer had been given in its place`,
        options,
      ),
      name,
      this.facts,
    );
  }
}
