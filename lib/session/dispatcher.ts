/**
 * Takes the messages of libmilter's threads on a JS thread, and hands them to their sessions.
 * native/binding/environment_state.cc is the other end.
 */

import { TEMPFAIL } from '../addon/constants.js';
import type { Events } from '../addon/events.js';
import { MessageKind } from '../addon/kinds.js';
import type { Deliver } from '../addon/native.js';
import { MilterError } from '../internal/errors.js';
import type { SessionDependencies } from './dependencies.js';
import { NO_SESSION } from './observer.js';
import { Session } from './session.js';

/** Contexts made and ended in this thread; equal when nothing is connected. */
export interface ContextCounts {
  made: number;
  ended: number;
}

export interface DispatcherOptions {
  readonly counts: ContextCounts;
  /** Milliseconds that close handlers get once libmilter has returned. */
  readonly closeTimeout: number;
  /** Called once, when libmilter serves. */
  readonly onReady: () => void;
  /** Called once, when libmilter has returned and the close handlers are done. */
  readonly onStopped: (failed: boolean) => void;
}

export class Dispatcher {
  readonly #dependencies: SessionDependencies;
  readonly #options: DispatcherOptions;
  readonly #sessions: (Session | undefined)[] = [];
  /** The events of a message that is delivered in parts. */
  readonly #parts: unknown[] = [];
  /** Sessions whose close handlers are running. */
  #closing = 0;
  /** libmilter has returned. */
  #stopped = false;
  /** Called when the last close handler is done, once libmilter has returned. */
  #onAllClosed: (() => void) | null = null;

  constructor(dependencies: SessionDependencies, options: DispatcherOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
  }

  /** Takes one message, perhaps in parts. It must not throw: its caller is native code that has no answer to an exception. */
  readonly deliver: Deliver = (kind, slot, question, isPart, ...events) => {
    if (isPart || this.#parts.length > 0) this.#parts.push(...events);
    if (isPart) return;
    this.#take(kind, slot, question, this.#parts.length > 0 ? this.#parts.splice(0) : events);
  };

  #take(kind: number, slot: number, question: number, events: Events): void {
    switch (kind) {
      case MessageKind.question:
        if (!this.#stopped) this.#sessionFor(slot).ask(question, events);
        break;
      case MessageKind.closed:
        this.#close(slot, events);
        break;
      case MessageKind.expired:
        this.#fail(
          slot,
          new MilterError('ERR_MILTER_HANDLER_TIMEOUT', 'the JS thread did not answer in time'),
          this.#dependencies.exceptions.policy,
        );
        break;
      case MessageKind.released:
        this.#sessions[slot]?.interrupt(
          new MilterError('ERR_MILTER_BAD_CONTEXT', 'the filter stops: the MTA was told to try again later'),
          TEMPFAIL,
          false, // an answer is expected to be late then
        );
        break;
      case MessageKind.writeFailed:
        this.#fail(
          slot,
          new MilterError(
            'ERR_MILTER_WRITE',
            'a modification could not be sent to the MTA: the message got a temporary failure',
          ),
          TEMPFAIL,
        );
        break;
      case MessageKind.ready:
        this.#options.onReady();
        break;
      default:
        this.#stop(question !== 0); // MessageKind.stopped
    }
  }

  #sessionFor(slot: number): Session {
    let session = this.#sessions[slot];
    if (!session) {
      session = new Session(this.#dependencies, slot);
      this.#sessions[slot] = session;
      this.#options.counts.made++;
    }
    return session;
  }

  /** @param events those that the session has left */
  #close(slot: number, events: Events = []): void {
    const session = this.#sessions[slot];
    if (!session) return;
    this.#sessions[slot] = undefined;
    this.#closing++;
    session.close(() => {
      this.#options.counts.ended++;
      if (--this.#closing === 0) this.#onAllClosed?.();
    }, events);
  }

  /** A question was answered on libmilter's thread with this verdict. */
  #fail(slot: number, error: MilterError, verdict: number): void {
    const session = this.#sessions[slot];
    this.#dependencies.exceptions.report(error, 'a session', session?.facts ?? NO_SESSION);
    session?.interrupt(error, verdict);
  }

  /** libmilter has returned. Sessions that were open then get no message of their own: libmilter does not close them. */
  #stop(failed: boolean): void {
    this.#stopped = true;
    for (let slot = 0; slot < this.#sessions.length; slot++) this.#close(slot);
    let timer: NodeJS.Timeout | undefined;
    const finish = () => {
      this.#onAllClosed = null;
      clearTimeout(timer);
      this.#options.onStopped(failed);
    };
    if (this.#closing === 0) {
      finish();
      return;
    }
    this.#onAllClosed = finish;
    timer = setTimeout(finish, this.#options.closeTimeout);
  }
}
