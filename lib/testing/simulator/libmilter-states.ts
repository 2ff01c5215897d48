/**
 * Which command libmilter accepts after which: the state table of its engine.c.
 *
 * Otherwise libmilter aborts the message, goes back to the state after HELO, and accepts the command from there or
 * ignores it.
 */
import { Protocol } from '../wire/protocol.js';

/** ST_* of engine.c; in this order, in which states are skipped. */
export const State = {
  init: 0,
  negotiated: 1,
  connect: 2,
  helo: 3,
  envfrom: 4,
  envrcpt: 5,
  data: 6,
  header: 7,
  eoh: 8,
  body: 9,
  eom: 10,
  quit: 11,
  abort: 12,
  unknown: 13,
  quitNewConnection: 14,
} as const;
/** The name of a state, which is that of the command that leads to it. */
export type StateName = keyof typeof State;

/** next_states of engine.c. */
const FOLLOWERS: Readonly<Record<StateName, readonly StateName[]>> = {
  init: ['negotiated'],
  negotiated: ['connect', 'unknown'],
  connect: ['helo', 'envfrom', 'unknown'],
  helo: ['helo', 'envfrom', 'unknown'],
  envfrom: ['envrcpt', 'abort', 'unknown'],
  envrcpt: ['header', 'eoh', 'data', 'body', 'eom', 'envrcpt', 'abort', 'unknown'],
  data: ['eoh', 'header', 'abort'],
  header: ['eoh', 'header', 'abort'],
  eoh: ['body', 'eom', 'abort'],
  body: ['eom', 'body', 'abort'],
  eom: ['quit', 'envfrom', 'unknown', 'quitNewConnection'],
  quit: [],
  abort: [],
  unknown: ['helo', 'envfrom', 'envrcpt', 'abort', 'data', 'body', 'unknown', 'quit', 'quitNewConnection'],
  quitNewConnection: ['connect', 'unknown'],
};

/** The states that can be skipped if their command was negotiated away (fix_stm). */
const SKIPPABLE: readonly (readonly [bit: number, state: StateName])[] = [
  [Protocol.NOCONNECT, 'connect'],
  [Protocol.NOHELO, 'helo'],
  [Protocol.NOMAIL, 'envfrom'],
  [Protocol.NORCPT, 'envrcpt'],
  [Protocol.NOHDRS, 'header'],
  [Protocol.NOEOH, 'eoh'],
  [Protocol.NOBODY, 'body'],
  [Protocol.NODATA, 'data'],
  [Protocol.NOUNKNOWN, 'unknown'],
];

const NAMES = Object.keys(State) as StateName[];

/**
 * The table of a process. A state that one session has negotiated away can be skipped in all of them from then on, because
 * libmilter has one table and only adds to it.
 */
export class StateTable {
  readonly #skippable = new Set<StateName>();

  /** Takes note of the protocol bits that a session has negotiated. */
  leaveOut(protocol: number): void {
    for (const [bit, state] of SKIPPABLE) if (protocol & bit) this.#skippable.add(state);
  }

  /** Whether a command is accepted in a state (trans_ok). */
  allows(from: StateName, to: StateName): boolean {
    for (let at = State[from]; at < NAMES.length; at++) {
      const name = NAMES[at] as StateName;
      if (name !== from && !this.#skippable.has(name)) return false;
      if (FOLLOWERS[name].includes(to)) return true;
    }
    return false;
  }
}

/** Whether a state is within a message, so that leaving it without eom aborts the message (ST_IN_MAIL). */
export function inMessage(state: StateName): boolean {
  return State[state] >= State.envfrom && State[state] < State.eom;
}
