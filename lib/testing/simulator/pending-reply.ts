/**
 * The question that a session's handlers are to answer: the counterpart of native/bridge/pending_reply.cc. Only one is
 * open at a time, and its first answer counts (R6).
 */
import { ActionKind } from '../../addon/kinds.js';
import type { NegotiatedOptions } from '../../addon/native.js';
import type { Action, Mta } from './mta.js';

/** The answer to a question. */
export interface HandlerAnswer {
  readonly verdict: number;
  /** The verdict of an event before the last one. */
  readonly beforeLast?: boolean;
  /** No handler uses a chunk of the events any more. */
  readonly keepsNothing?: boolean;
  /** With the answer to negotiate. */
  readonly options?: NegotiatedOptions;
}

export class PendingReply {
  readonly #mta: Mta;
  #lastQuestion = 0;
  #resolve: ((answer: HandlerAnswer) => void) | null = null;
  #queue: Action[] = [];

  constructor(mta: Mta) {
    this.#mta = mta;
  }

  /** Opens the next question and passes its number to `send`; resolves to the answer, once its actions are performed. */
  open(send: (question: number) => void): Promise<HandlerAnswer> {
    const question = ++this.#lastQuestion;
    this.#queue = [];
    return new Promise((resolve) => {
      this.#resolve = resolve;
      send(question);
    });
  }

  isOpen(question: number): boolean {
    return this.#resolve !== null && question === this.#lastQuestion;
  }

  /** Queues an action; progress is performed immediately. Returns false if the question is not the open one. */
  queue(question: number, action: Action): boolean {
    if (!this.isOpen(question)) return false;
    if (action.kind === ActionKind.progress) this.#mta.perform(action);
    else this.#queue.push(action);
    return true;
  }

  /** Answers the question. Returns false if it is not the open one. */
  answer(question: number, answer: HandlerAnswer): boolean {
    if (!this.isOpen(question)) return false;
    const resolve = this.#resolve;
    this.#resolve = null;
    for (const action of this.#queue) this.#mta.perform(action);
    resolve?.(answer);
    return true;
  }
}
