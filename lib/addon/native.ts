/** The native addon, typed. It is loaded when it is first needed, so that helpers work where libmilter is not installed. */

import { MilterError } from '../internal/errors.js';
import { HEADER_CONSTANTS } from './constants.js';
import { ActionKind, Interruption, MessageKind, StartResult } from './kinds.js';
import { isOtherBuild, otherNodeNeeded } from './other-build.js';
import { rebuildCommand } from './rebuild-command.js';
import { STEP_NAMES } from './steps.js';

/** What this package knows by number, to be compared with the addon. */
const NAMES = {
  steps: STEP_NAMES,
  actions: Object.keys(ActionKind),
  messages: Object.keys(MessageKind),
  startResults: Object.keys(StartResult),
  interruptions: Object.keys(Interruption),
} as const;

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
  /** The macros that are kept with collected events of steps that have their own, with blanks in between. */
  readonly macros: string;
}

/** How {@link Deliver} is called; raised whenever that changes, so that an addon of another version is not misread. */
export const MESSAGE_LAYOUT = 2;

/**
 * Takes one message; `slot` identifies the session until its `closed` has been delivered. A message of many events comes in
 * several calls, one right after the other; `isPart` in all but the last.
 */
export type Deliver = (
  kind: number,
  slot: number,
  question: number,
  isPart: boolean,
  ...events: unknown[]
) => void;

/** native/addon.cc. Calls for a session return undefined, or false, if its question is no longer open. */
export interface Addon {
  readonly constants: Readonly<Record<string, number>>;
  readonly messageLayout: number;
  /** Names by number, as native/bridge/protocol.h has them. */
  readonly protocol: Readonly<Record<keyof typeof NAMES, readonly string[]>>;
  version(): [major: number, minor: number, patchlevel: number];
  registerFilter(name: string, actions: number): boolean;
  setTimeout(seconds: number): boolean;
  setBacklog(connections: number): boolean;
  setDebug(level: number): boolean;
  setMaxDataSize(bytes: number): number;
  /** Bytes that a frame can carry unless libmilter and MTA agree on more. */
  maxDataSize(): number;
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
  /** The most bytes that the batches of all sessions may take before events are handed over one by one. */
  setMaxBuffered(bytes: number): void;
  /** Reserves the process's only filter for this thread; a StartResult, `ready` if it is. */
  claim(): number;
  /** Leaves it to other threads again. */
  release(): void;
  /** `serves`: whether this thread takes sessions; if not, they are left to threads that join. */
  start(deliver: Deliver, serves: boolean): number;
  /** Takes sessions of a filter that another thread starts, or has started. */
  join(deliver: Deliver): void;
  stop(drainMilliseconds: number): void;
  /** How many questions were answered without their handlers since the process began, by {@link Interruption}. */
  interruptions(): number[];
  /** Sends a datagram to a unix socket, whose address is a path or `@` and an abstract name. Returns 0 or an errno. */
  notify(address: string, text: string): number;

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
  /** The handlers of all chunks of the question's events have run. `keepsNothing`: as in {@link answer}. */
  releaseChunks(slot: number, question: number, keepsNothing: boolean): boolean;
  /**
   * `beforeLast`: the verdict is that of an event before the last one, and ends the run of the handlers. `keepsNothing`: no
   * handler uses a chunk of these events any more, so that the next events of the message may be written over them.
   */
  answer(
    slot: number,
    question: number,
    verdict: number,
    beforeLast: boolean,
    keepsNothing: boolean,
  ): boolean;
  answerNegotiation(slot: number, question: number, verdict: number, options: NegotiatedOptions): boolean;
  /** What the session negotiated, or took over from an earlier session on its connection. */
  negotiatedOptions(
    slot: number,
    question: number,
  ): [actions: number, protocol: number, deferred: number, macros: string] | undefined;
}

let loaded: Addon | undefined;

/** Where the addon is; a build for a sanitizer or debugger may replace the installed one. */
function addonFile(): string {
  return process.env.MILTER_ADDON || require('bindings')({ bindings: 'tsmilter', path: true });
}

function otherBuild(detail: string, cause?: unknown): MilterError {
  return new MilterError(
    'ERR_MILTER_ADDON_MISMATCH',
    `the native part of tsmilter was built for another Node.js or another machine than this one (Node.js ${process.versions.node}, ` +
      `${process.platform} ${process.arch}): ${detail}; build it again: run ${rebuildCommand()}`,
    { cause },
  );
}

function load(): Addon {
  try {
    const file = addonFile();
    const other = otherNodeNeeded(file);
    if (other !== null) throw otherBuild(`it needs ${other}`);
    return require(file);
  } catch (cause) {
    if (cause instanceof MilterError) throw cause;
    if (isOtherBuild(cause)) throw otherBuild((cause as Error).message.replace(/\s*\n\s*/g, ' '), cause);
    throw new MilterError(
      'ERR_MILTER_ADDON',
      'the native part of tsmilter cannot be loaded: install libmilter-dev (Debian, Ubuntu, Alpine), ' +
        `sendmail-milter-devel (Fedora) or the libmilter port (FreeBSD), then run ${rebuildCommand()}`,
      { cause },
    );
  }
}

/** Whether two lists of names are the same, number by number. */
function sameNames(ours: readonly string[], theirs: readonly string[] | undefined): boolean {
  return theirs !== undefined && ours.length === theirs.length && ours.every((name, i) => name === theirs[i]);
}

/** Refuses an addon that was built from another version of this package: its events would be misread. */
function verify(addon: Addon): void {
  const wrong = [
    ...Object.entries(HEADER_CONSTANTS)
      .filter(([name, value]) => addon.constants[name] !== value)
      .map(([name]) => name),
    ...Object.entries(NAMES)
      .filter(([list, names]) => !sameNames(names, addon.protocol?.[list as keyof typeof NAMES]))
      .map(([list]) => list),
    ...(addon.messageLayout === MESSAGE_LAYOUT ? [] : ['messageLayout']),
  ];
  if (wrong.length > 0) {
    throw new MilterError(
      'ERR_MILTER_ADDON',
      `the native part of tsmilter is of another version (${wrong[0]}): run ${rebuildCommand()}`,
    );
  }
}

/**
 * The addon.
 * @throws MilterError ERR_MILTER_ADDON if it is not built, or from another version of this package; ERR_MILTER_ADDON_MISMATCH if
 *   it was built for another Node.js
 */
export function native(): Addon {
  if (!loaded) {
    const addon = load();
    verify(addon);
    loaded = addon;
  }
  return loaded;
}
