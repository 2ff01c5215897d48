/** What a session can ask of its MTA, as libmilter offers it: the counterpart of native/bridge/mta.h. */
import type { ActionKind } from '../../addon/kinds.js';

/** The arguments of setreply. */
export type ReplyArguments = readonly [code: string, extended: string | null, lines: readonly string[]];

/** A modification of the message, as a handler has queued it. */
export interface Action {
  readonly kind: ActionKind;
  readonly index: number;
  readonly first: string | Uint8Array;
  readonly second: string | null;
}

export interface Mta {
  getsymval(name: string): string | null;
  setreply(...reply: ReplyArguments): boolean;
  setsymlist(stage: number, macros: string): boolean;
  perform(action: Action): void;
}
