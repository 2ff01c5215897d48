/** What the sessions of a thread share. */

import type { Addon } from '../addon/native.js';
import type { Logger } from '../internal/logger.js';
import type { Callbacks } from './callbacks.js';
import type { Exceptions } from './exception-policy.js';
import type { Observer } from './observer.js';

/** How handlers are waited for. */
export interface SessionOptions {
  /** Milliseconds that a handler may take; 0: no limit. */
  readonly handlerTimeout: number;
  /** Milliseconds between two progress messages to the MTA while eom is awaited; 0: none. */
  readonly progressInterval: number;
  /** Whether every event is answered by itself, rather than the message as a whole. */
  readonly immediate: boolean;
}

/** What a session calls on the side of the MTA: the addon, or its stand-in in tsmilter/testing. */
export type SessionCalls = Pick<
  Addon,
  | 'getsymval'
  | 'setreply'
  | 'setsymlist'
  | 'queue'
  | 'resetDeadline'
  | 'releaseChunks'
  | 'answer'
  | 'answerNegotiation'
  | 'negotiatedOptions'
  | 'maxDataSize'
>;

export interface SessionDependencies {
  readonly addon: SessionCalls;
  readonly callbacks: Callbacks;
  readonly exceptions: Exceptions;
  readonly options: SessionOptions;
  /** What follows the sessions, and the log of their handlers. Default: none. */
  readonly observation?: Observation;
}

/** How the sessions of a thread are followed from outside. */
export interface Observation {
  readonly observer: Observer | null;
  /** The log that handlers write to. */
  readonly logger: Logger;
  /** What makes a session's number unique among those of all threads. */
  readonly prefix: string;
}
