/** What follows sessions from outside: the log, the metrics, the traces. */

import type { MessageRecord, Outcome } from './message-record.js';

/**
 * The facts about a session that an error in a handler, or an entry of the log, belongs to. Unprintable characters in them are
 * escaped, so that they can be logged.
 */
export interface SessionFacts {
  /** The session's name, which is unique while the filter runs; null for what belongs to no session. */
  readonly session: string | null;
  /** The SMTP client as `name[address]`; null until connect, and for a filter that does not handle it. */
  readonly client: string | null;
  /** The MTA's queue id; null if there is none yet. Sendmail has one from MAIL on, Postfix once it has accepted a recipient. */
  readonly queueId: string | null;
}

/** The facts about what belongs to no session. */
export const NO_SESSION: SessionFacts = { session: null, client: null, queueId: null };

/**
 * Is told what happens in the sessions of a thread. Its methods are called while the MTA waits: they must be quick, and must not
 * throw.
 */
export interface Observer {
  /** A session has begun. */
  sessionBegun?(session: SessionFacts): void;
  /** A handler has answered, or another has answered in its place. */
  handled?(session: SessionFacts, step: number, milliseconds: number): void;
  /** A question was answered, with that many events in its batch. */
  answered?(session: SessionFacts, events: number): void;
  /** connect or helo got a verdict other than CONTINUE. */
  sessionDecided?(session: SessionFacts, step: number, verdict: Outcome): void;
  /** A message has its verdict, or ended without one. */
  messageEnded?(session: SessionFacts, message: MessageRecord): void;
  /** A session has ended. */
  sessionEnded?(session: SessionFacts): void;
}

/** One observer that passes everything on to all of these; null for none. */
export function combineObservers(all: readonly (Observer | null)[]): Observer | null {
  const given = all.filter((one) => one !== null);
  const [first, ...others] = given;
  if (!first) return null;
  if (others.length === 0) return first;
  const each = <Name extends keyof Observer>(name: Name): Observer[Name] => {
    const listeners = given.filter((one) => one[name]);
    if (listeners.length === 0) return undefined;
    return ((...args: unknown[]) => {
      for (const one of listeners) (one[name] as (...args: unknown[]) => void)(...args);
    }) as Observer[Name];
  };
  return Object.fromEntries(
    OBSERVED.map((name) => [name, each(name)]).filter(([, listener]) => listener !== undefined),
  );
}

const OBSERVED = [
  'sessionBegun',
  'handled',
  'answered',
  'sessionDecided',
  'messageEnded',
  'sessionEnded',
] as const satisfies readonly (keyof Observer)[];
