/**
 * Where the mail from libmilter's threads arrives on a JS thread, and is handed to its sessions.
 * native/binding/environment_state.cc is the other end.
 */

import { type Events, MessageKind } from '../addon/native.js';
import { MilterError } from '../internal/errors.js';
import { Session, type SessionDependencies } from './session.js';

/** Contexts made and ended in this thread; they agree when nothing is connected. */
export interface Diagnosis {
  made: number;
  ended: number;
}

export class Delivery {
  readonly #dependencies: SessionDependencies;
  readonly #stopped: (failed: boolean) => void;
  readonly #diagnosis: Diagnosis;
  readonly #closeTimeout: number;
  readonly #ready: () => void;
  readonly #sessions: (Session | undefined)[] = [];
  #closing = 0;
  #over = false;
  /** Called when the last close handler is done, once libmilter has returned. */
  #afterClose: (() => void) | null = null;

  /**
   * @param closeTimeout milliseconds that close handlers get when libmilter has returned
   * @param ready called once, when libmilter serves
   * @param stopped called once, when libmilter has returned and the close handlers are done
   */
  constructor(
    dependencies: SessionDependencies,
    diagnosis: Diagnosis,
    closeTimeout: number,
    ready: () => void,
    stopped: (failed: boolean) => void,
  ) {
    this.#dependencies = dependencies;
    this.#diagnosis = diagnosis;
    this.#closeTimeout = closeTimeout;
    this.#ready = ready;
    this.#stopped = stopped;
  }

  /** Takes one mail; must not throw. */
  readonly deliver = (kind: number, slot: number, question: number, events: Events): void => {
    switch (kind) {
      case MessageKind.question:
        if (!this.#over) this.#sessionFor(slot).ask(question, events);
        break;
      case MessageKind.closed:
        this.#close(slot);
        break;
      case MessageKind.expired:
        this.#fail(slot, 'ERR_MILTER_HANDLER_TIMEOUT', 'the JS thread gave no answer in time');
        break;
      case MessageKind.released:
        this.#sessions[slot]?.interrupt(
          new MilterError('ERR_MILTER_BAD_CONTEXT', 'the filter stops: the MTA was told to try again later'),
          true,
        );
        break;
      case MessageKind.writeFailed:
        this.#fail(
          slot,
          'ERR_MILTER_WRITE',
          'a modification could not be sent to the MTA: the message was refused for now',
        );
        break;
      case MessageKind.ready:
        this.#ready();
        break;
      default:
        this.#stop(question !== 0);
    }
  };

  #sessionFor(slot: number): Session {
    let session = this.#sessions[slot];
    if (!session) {
      session = new Session(this.#dependencies, slot);
      this.#sessions[slot] = session;
      this.#diagnosis.made++;
    }
    return session;
  }

  #close(slot: number): void {
    const session = this.#sessions[slot];
    if (!session) return;
    this.#sessions[slot] = undefined;
    this.#closing++;
    session.close(() => {
      this.#diagnosis.ended++;
      if (--this.#closing === 0) this.#afterClose?.();
    });
  }

  #fail(slot: number, code: 'ERR_MILTER_HANDLER_TIMEOUT' | 'ERR_MILTER_WRITE', message: string): void {
    const error = new MilterError(code, message);
    this.#dependencies.exceptions.report(error, 'a session');
    this.#sessions[slot]?.interrupt(error);
  }

  /** libmilter does not close the sessions that it leaves behind when it stops. */
  #stop(failed: boolean): void {
    this.#over = true;
    for (let slot = 0; slot < this.#sessions.length; slot++) this.#close(slot);
    let timer: NodeJS.Timeout | undefined;
    const finish = () => {
      this.#afterClose = null;
      clearTimeout(timer);
      this.#stopped(failed);
    };
    if (this.#closing === 0) {
      finish();
      return;
    }
    this.#afterClose = finish;
    timer = setTimeout(finish, this.#closeTimeout);
  }
}
