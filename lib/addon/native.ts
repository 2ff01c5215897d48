/** The native addon, typed. It is loaded when it is first needed, so that helpers work where libmilter is not installed. */

import { MilterError } from '../internal/errors.js';
import { HEADER_CONSTANTS } from './constants.js';
import { STEP_NAMES } from './steps.js';

/** What a message from the native side is about, in the order of native/bridge/message_queue.h. */
export const MessageKind = {
  /** Run the handlers of the events, and answer; libmilter's thread waits. */
  question: 0,
  /** The session has ended. */
  closed: 1,
  /** The exception policy has answered the question, because its handlers took too long. */
  expired: 2,
  /** The question has been answered because the filter stops. */
  released: 3,
  /** A modification could not be written; the message got a temporary failure. */
  writeFailed: 4,
  /** libmilter has returned. */
  stopped: 5,
  /** libmilter serves. */
  ready: 6,
} as const;

/** In the order of native/bridge/answer.h, Action::Kind. */
export const ActionKind = {
  addheader: 0,
  insheader: 1,
  chgheader: 2,
  addrcpt: 3,
  addrcptPar: 4,
  delrcpt: 5,
  replacebody: 6,
  chgfrom: 7,
  quarantine: 8,
  progress: 9,
} as const;
export type ActionKind = (typeof ActionKind)[keyof typeof ActionKind];

/** In the order of native/bridge/process.h, Process::StartResult. */
export const StartResult = { ready: 0, inUse: 1, alreadyRun: 2, notRegistered: 3 } as const;

/** What a session has negotiated (native/bridge/answer.h). Sets of steps are bits by step number. */
export interface NegotiatedOptions {
  /** The rights (SMFIF_ bits). */
  readonly actions: number;
  /** The protocol (SMFIP_ bits) that the filter settled on. */
  readonly protocol: number;
  /** The bits that deferring answers adds to it. */
  readonly added: number;
  /** Steps with a handler; the others are answered on libmilter's thread. */
  readonly asked: number;
  /** Steps whose events are collected and answered at the end of the message. */
  readonly deferred: number;
  /** Steps for which "no reply" was negotiated. */
  readonly silent: number;
}

/** The events of a message, flat: step, number of arguments, the arguments, the next step, ... */
export type Events = readonly unknown[];

/** Takes one message; `slot` identifies the session until its `closed` has been delivered. */
export type Deliver = (kind: number, slot: number, question: number, events: Events) => void;

/** native/addon.cc. Calls for a session return undefined, or false, if its question is no longer open. */
export interface Addon {
  readonly constants: Readonly<Record<string, number>>;
  readonly stepNames: readonly string[];
  version(): [major: number, minor: number, patchlevel: number];
  registerFilter(name: string, actions: number): boolean;
  setTimeout(seconds: number): boolean;
  setBacklog(connections: number): boolean;
  setDebug(level: number): boolean;
  setMaxDataSize(bytes: number): number;
  openSocket(
    spec: string,
    removeStale: boolean,
    mode: number | null,
    owner: string | null,
    group: string | null,
  ): null | [code: string, about: string];
  port(): number;
  setAnswerTimeout(milliseconds: number): void;
  setPolicy(verdict: number, code: string, extended: string, text: string): void;
  /** `serves`: whether this thread takes sessions; if not, they are left to threads that join. */
  start(deliver: Deliver, serves: boolean): number;
  /** Takes sessions of a filter that another thread starts, or has started. */
  join(deliver: Deliver): void;
  stop(drainMilliseconds: number): void;
  running(): boolean;
  ended(): boolean;

  getsymval(slot: number, question: number, name: string): string | null | undefined;
  setreply(
    slot: number,
    question: number,
    code: string,
    extended: string | null,
    lines: readonly string[],
  ): boolean | undefined;
  setsymlist(slot: number, question: number, stage: number, macros: string): boolean | undefined;
  queue(
    slot: number,
    question: number,
    kind: ActionKind,
    index: number,
    first: string | Uint8Array,
    second: string | null,
  ): boolean;
  resetDeadline(slot: number, question: number): boolean;
  answer(slot: number, question: number, verdict: number): boolean;
  answerNegotiation(slot: number, question: number, verdict: number, options: NegotiatedOptions): boolean;
  /** What the session negotiated, or took over from an earlier session on its connection. */
  negotiatedOptions(slot: number, question: number): [actions: number, protocol: number] | undefined;
}

let loaded: Addon | undefined;

function load(): Addon {
  try {
    // A build for a sanitizer or debugger may replace the installed one.
    const override = process.env.MILTER_ADDON;
    return override ? require(override) : require('bindings')('tsmilter');
  } catch (cause) {
    throw new MilterError(
      'ERR_MILTER_ADDON',
      'the native part of tsmilter cannot be loaded: install libmilter-dev (Debian, Ubuntu, Alpine), ' +
        'sendmail-milter-devel (Fedora) or the libmilter port (FreeBSD), then run `npm rebuild tsmilter`',
      { cause },
    );
  }
}

/** Refuses an addon that was built from another version of this package: its events would be misread. */
function verify(addon: Addon): void {
  const wrong = [
    ...Object.entries(HEADER_CONSTANTS).filter(([name, value]) => addon.constants[name] !== value),
    ...STEP_NAMES.filter((name, index) => addon.stepNames[index] !== name),
  ];
  if (wrong.length > 0) {
    throw new MilterError(
      'ERR_MILTER_ADDON',
      `the native part of tsmilter is of another version (${String(wrong[0])}): run \`npm rebuild tsmilter\``,
    );
  }
}

/** The addon. @throws MilterError ERR_MILTER_ADDON if it is not built, or from another version */
export function native(): Addon {
  if (!loaded) {
    const addon = load();
    verify(addon);
    loaded = addon;
  }
  return loaded;
}
