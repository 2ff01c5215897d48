/**
 * One session on its JS thread: runs its events' callbacks one by one, in order, each awaited, and answers.
 *
 * A question is a batch of events whose last one libmilter's thread waits on. The answer is the first verdict other
 * than CONTINUE, or the last event's. Only one question is open at a time; a handler that is still at work when its
 * question was answered for it (a timeout, a stop) goes on by itself, and what it says later is reported, not used.
 */

import { ALL_OPTS, CONTINUE, NOREPLY, SKIP } from '../addon/constants.js';
import { ActionKind, type Addon, type Events } from '../addon/native.js';
import type { Status } from '../addon/status.js';
import {
  ABORT,
  BODY,
  bitOf,
  CLOSE,
  CONNECT,
  DATA,
  ENVFROM,
  ENVRCPT,
  EOH,
  EOM,
  HEADER,
  HELO,
  NEGOTIATE,
  STEP_NAMES,
  UNKNOWN,
} from '../addon/steps.js';
import { MilterError } from '../internal/errors.js';
import type { Callbacks, NegotiationOptions } from './callbacks.js';
import { type Backend, Context } from './context.js';
import type { Exceptions } from './exception-policy.js';
import { currentFlags } from './flags.js';
import { peerOf } from './hostaddr.js';
import { completeNegotiation, handledSteps, protocolFor } from './negotiation.js';
import { checkStatus } from './status.js';

/** How handlers are waited for. */
export interface SessionOptions {
  /** Milliseconds that a handler may take; 0 for ever. */
  readonly handlerTimeout: number;
  /** Milliseconds between two signs of life to the MTA while eom is awaited; 0 for none. */
  readonly progressInterval: number;
  /** An answer for every event, in place of one for the message. */
  readonly immediate: boolean;
}

/** What a session asks of the side that talks to the MTA: of the addon, or of what stands in for it in tsmilter/testing. */
export type SessionCalls = Pick<
  Addon,
  | 'getsymval'
  | 'setreply'
  | 'setsymlist'
  | 'queue'
  | 'resetDeadline'
  | 'answer'
  | 'answerNegotiation'
  | 'negotiatedOptions'
>;

/** What all sessions of a thread share. */
export interface SessionDependencies {
  readonly addon: SessionCalls;
  readonly callbacks: Callbacks;
  readonly exceptions: Exceptions;
  readonly options: SessionOptions;
}

/** A question at work. */
interface Run {
  readonly question: number;
  readonly events: Events;
  /** Where the next event begins. */
  at: number;
  /** Steps (header, body) of which this batch's further events are not wanted. */
  skipped: number;
}

/** A handler that is awaited. */
interface Wait {
  over: boolean;
  /** The filter itself has given up on the handler: what it answers is no news. */
  dismissed: boolean;
  timeout: NodeJS.Timeout | undefined;
  progress: NodeJS.Timeout | undefined;
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null)?.then === 'function';

/** Whether the last of the events is this step: what libmilter's thread waits in. */
function endsWith(events: Events, step: number): boolean {
  let last = -1;
  for (let at = 0; at < events.length; at += 2 + (events[at + 1] as number)) last = events[at] as number;
  return last === step;
}

export class Session implements Backend {
  readonly context: Context;
  readonly #dependencies: SessionDependencies;
  readonly #slot: number;
  #question = 0;
  #wait: Wait | null = null;
  /** What the MTA offered, and what negotiate made of it. */
  /** The first question has come. */
  #known = false;
  #offer: NegotiationOptions = [0, 0, 0, 0];
  #options: NegotiationOptions = [0, 0, 0, 0];

  constructor(dependencies: SessionDependencies, slot: number) {
    this.#dependencies = dependencies;
    this.#slot = slot;
    this.context = new Context(this);
  }

  // --- what libmilter's side says

  /** Runs the handlers of a question. */
  ask(question: number, events: Events): void {
    this.#abandon();
    this.#question = question;
    if (!this.#known) {
      this.#known = true;
      if (events[0] !== NEGOTIATE) this.#adopt(question);
    }
    const run = { question, events, at: 0, skipped: 0 };
    this.#advance(run);
  }

  /** The open question has been answered without its handler, for a reason; `dismissed`: by the filter's stop. */
  interrupt(error: MilterError, dismissed = false): void {
    this.#abandon(dismissed);
    this.context.interrupt(error);
  }

  /** The session is over; `ended` is called when the close handler is done. */
  close(ended: () => void): void {
    this.#abandon();
    this.context.detach();
    const finish = () => {
      this.context.end();
      ended();
    };
    const fail = (error: unknown) => {
      this.#dependencies.exceptions.report(error, STEP_NAMES[CLOSE]);
      finish();
    };
    try {
      const result = this.#dependencies.callbacks.close?.(this.context);
      if (isPromise(result)) Promise.resolve(result).then(finish, fail);
      else finish();
    } catch (error) {
      fail(error);
    }
  }

  // --- Backend: what the context asks of libmilter's side

  getsymval(name: string): string | null | undefined {
    return this.#dependencies.addon.getsymval(this.#slot, this.#question, name);
  }

  setreply(code: string, extended: string | null, lines: readonly string[]): boolean | undefined {
    return this.#dependencies.addon.setreply(this.#slot, this.#question, code, extended, lines);
  }

  setsymlist(stage: number, macros: string): boolean | undefined {
    return this.#dependencies.addon.setsymlist(this.#slot, this.#question, stage, macros);
  }

  queue(kind: ActionKind, index: number, first: string | Uint8Array, second: string | null): boolean {
    return this.#dependencies.addon.queue(this.#slot, this.#question, kind, index, first, second);
  }

  // --- the run

  #advance(run: Run): void {
    const { events } = run;
    while (run.at < events.length) {
      const at = run.at;
      const step = events[at] as number;
      const count = events[at + 1] as number;
      run.at = at + 2 + count;
      let verdict: number;
      if (run.skipped & bitOf(step)) {
        verdict = SKIP;
      } else {
        this.context.enter(step);
        try {
          const result = this.#call(step, events, at + 2, count);
          if (isPromise(result)) {
            this.#await(run, step, result);
            this.context.leave();
            return;
          }
          verdict = this.#check(step, result);
        } catch (error) {
          verdict = this.#failed(step, error);
        }
        this.context.leave();
      }
      if (!this.#goesOn(run, step, verdict)) return;
    }
  }

  /** Whether the run goes on after this verdict; answers where it does not. */
  #goesOn(run: Run, step: number, verdict: number): boolean {
    const last = run.at >= run.events.length;
    if (!last && (verdict === CONTINUE || verdict === NOREPLY)) return true;
    if (!last && verdict === SKIP) {
      run.skipped |= bitOf(step);
      return true;
    }
    if (step === NEGOTIATE) this.#answerNegotiation(run, verdict);
    else if (!this.#dependencies.addon.answer(this.#slot, run.question, verdict)) this.#late(step);
    return false;
  }

  #call(step: number, events: Events, at: number, count: number): unknown {
    const { callbacks } = this.#dependencies;
    const { context } = this;
    switch (step) {
      case NEGOTIATE:
        return this.#negotiate(events, at);
      case CONNECT: {
        const [family, port, flowinfo, scopeid, hostname, address] = events.slice(at, at + count) as [
          number,
          number,
          number,
          number,
          string,
          string | undefined,
        ];
        return callbacks.connect
          ? callbacks.connect(context, hostname, ...peerOf(family, port, flowinfo, scopeid, address))
          : CONTINUE;
      }
      case HELO:
        return callbacks.helo ? callbacks.helo(context, events[at] as string) : CONTINUE;
      case ENVFROM:
        return callbacks.envfrom
          ? callbacks.envfrom(context, ...(events.slice(at, at + count) as [string, ...string[]]))
          : CONTINUE;
      case ENVRCPT:
        return callbacks.envrcpt
          ? callbacks.envrcpt(context, ...(events.slice(at, at + count) as [string, ...string[]]))
          : CONTINUE;
      case DATA:
        return callbacks.data ? callbacks.data(context) : CONTINUE;
      case HEADER:
        return callbacks.header
          ? callbacks.header(context, events[at] as string, events[at + 1] as string)
          : CONTINUE;
      case EOH:
        return callbacks.eoh ? callbacks.eoh(context) : CONTINUE;
      case BODY:
        return callbacks.body ? callbacks.body(context, events[at] as Buffer) : CONTINUE;
      case EOM:
        return callbacks.eom ? callbacks.eom(context) : CONTINUE;
      case UNKNOWN:
        return callbacks.unknown ? callbacks.unknown(context, events[at] as string) : CONTINUE;
      case ABORT:
        return callbacks.abort ? callbacks.abort(context) : CONTINUE;
      default:
        throw new Error(`no such step: ${step}`);
    }
  }

  #check(step: number, value: unknown): Status | typeof ALL_OPTS {
    if (step === ABORT) return CONTINUE; // there is nobody to answer
    if (step === NEGOTIATE && value === ALL_OPTS) return ALL_OPTS;
    return checkStatus(STEP_NAMES[step] as string, value);
  }

  /** The verdict in place of a failed handler's. */
  #failed(step: number, error: unknown): number {
    const { exceptions } = this.#dependencies;
    exceptions.report(error, STEP_NAMES[step] as string);
    if (step === NEGOTIATE) return ALL_OPTS;
    if (step === ABORT) return CONTINUE;
    this.context.enter(step); // the policy's reply is ours: it counts whatever the handler is at
    const verdict = exceptions.apply(this.context);
    this.context.leave();
    return verdict;
  }

  // --- negotiate

  #negotiate(events: Events, at: number): unknown {
    const { callbacks } = this.#dependencies;
    const options = events.slice(at, at + 4) as NegotiationOptions;
    this.#offer = [...options];
    this.#options = options;
    if (callbacks.negotiate) return callbacks.negotiate(this.context, options);
    options[0] &= currentFlags();
    options[1] &= protocolFor(handledSteps(callbacks));
    return CONTINUE;
  }

  /** What an earlier session on the same connection negotiated holds for this one (QUIT_NC). */
  #adopt(question: number): void {
    const negotiated = this.#dependencies.addon.negotiatedOptions(this.#slot, question);
    if (negotiated) [this.context.actions, this.context.protocol] = negotiated;
  }

  #answerNegotiation(run: Run, verdict: number): void {
    const { addon, callbacks, options } = this.#dependencies;
    const [actions, protocol] = this.#options;
    const negotiated = completeNegotiation(
      this.context.handled ?? handledSteps(callbacks),
      this.#offer[1],
      actions,
      protocol,
      this.context.immediate ?? options.immediate,
    );
    if (verdict === CONTINUE) {
      this.context.actions = negotiated.actions;
      this.context.protocol = negotiated.protocol;
    } else {
      this.context.actions = this.#offer[0];
    }
    if (!addon.answerNegotiation(this.#slot, run.question, verdict, negotiated)) this.#late(NEGOTIATE);
  }

  // --- handlers that take their time

  #await(run: Run, step: number, result: PromiseLike<unknown>): void {
    const { addon, options } = this.#dependencies;
    const wait: Wait = { over: false, dismissed: false, timeout: undefined, progress: undefined };
    this.#wait = wait;
    addon.resetDeadline(this.#slot, run.question);
    if (options.handlerTimeout > 0) {
      wait.timeout = setTimeout(() => this.#timeOut(run, step, wait), options.handlerTimeout);
    }
    if (options.progressInterval > 0 && endsWith(run.events, EOM)) {
      wait.progress = setInterval(() => this.#showProgress(run), options.progressInterval);
    }
    // Through a promise of our own: a thenable may throw, or call back twice.
    Promise.resolve(result).then(
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

  #settle(run: Run, step: number, wait: Wait, verdictOf: () => number, late?: ErrorOptions): void {
    if (wait.over) {
      this.context.overruns--;
      if (!wait.dismissed) this.#late(step, late);
      return;
    }
    this.#endWait(wait);
    let verdict: number;
    try {
      verdict = verdictOf();
    } catch (error) {
      verdict = this.#failed(step, error);
    }
    this.#resume(run, step, verdict);
  }

  #resume(run: Run, step: number, verdict: number): void {
    if (this.#goesOn(run, step, verdict)) this.#advance(run);
  }

  #timeOut(run: Run, step: number, wait: Wait): void {
    this.#endWait(wait);
    this.context.overruns++;
    const error = new MilterError(
      'ERR_MILTER_HANDLER_TIMEOUT',
      `${STEP_NAMES[step]} did not answer within ${this.#dependencies.options.handlerTimeout} ms (handlerTimeout)`,
    );
    const verdict = this.#failed(step, error);
    this.context.interrupt(error);
    this.#resume(run, step, verdict);
  }

  #showProgress(run: Run): void {
    const { addon } = this.#dependencies;
    addon.resetDeadline(this.#slot, run.question);
    addon.queue(this.#slot, run.question, ActionKind.progress, 0, '', null);
  }

  #endWait(wait: Wait): void {
    wait.over = true;
    clearTimeout(wait.timeout);
    clearInterval(wait.progress);
    if (this.#wait === wait) this.#wait = null;
  }

  #abandon(dismissed = false): void {
    if (!this.#wait) return;
    this.#wait.dismissed = dismissed;
    this.#endWait(this.#wait);
    this.context.overruns++;
  }

  /** R6: the first answer counted. */
  #late(step: number, options?: ErrorOptions): void {
    const name = STEP_NAMES[step] as string;
    this.#dependencies.exceptions.report(
      new MilterError(
        'ERR_MILTER_LATE_ANSWER',
        `${name} answered when it had been answered for already`,
        options,
      ),
      name,
    );
  }
}
