/**
 * A session as its handlers see it: what the MTA says about it, and what they may ask of the MTA.
 *
 * All checks of the step, the negotiated rights and the arguments are made here, so that they are the same with a real MTA
 * and in tests without one; a {@link Backend} only carries out. pymilter calls this milterContext.
 */

import { types } from 'node:util';
import { M_EOH, SETSYMLIST } from '../addon/constants.js';
import { ACTION_RIGHTS, ActionKind, type ActionRight } from '../addon/kinds.js';
import { ABORT, ENVFROM, EOM, NEGOTIATE, STEP_NAMES } from '../addon/steps.js';
import { DisabledAction, MilterError } from '../internal/errors.js';
import { type Logger, silentLogger } from '../internal/logger.js';
import { checkInteger, checkText, checkWord } from '../internal/validate.js';
import { checkField, checkFrame, DEFAULT_MAX_DATA_SIZE } from '../internal/wire-text.js';
import { checkReply, extendedToSend } from './reply.js';
import { replyOfText } from './reply-text.js';

/** The number of macros that an MTA accepts for one stage. */
const MAX_SYMLIST_MACROS = 5;

/** Bytes of the index in the frames that have one. */
const INDEX_BYTES = 4;

/** Carries out what a context has checked. Its methods return undefined (queue: false) if the MTA no longer waits. */
export interface Backend {
  getsymval(name: string): string | null | undefined;
  setreply(code: string, extended: string | null, lines: readonly string[]): boolean | undefined;
  setsymlist(stage: number, macros: string): boolean | undefined;
  queue(kind: ActionKind, index: number, first: string | Uint8Array, second: string | null): boolean;
  /** The session's log. Default: nothing is written. */
  readonly log?: Logger;
}

/** What a filter object wants of its session; lib/filter/plan.ts has the whole of it. */
export interface SessionPlan {
  /** Steps with a handler (bits); needed if the callbacks alone would say that every step has one. */
  readonly handled: number;
  /** Whether every event is answered by itself; null leaves it to the option. */
  readonly immediate: boolean | null;
  /** Whether the body handler keeps no chunk after its answer. */
  readonly borrowed: boolean;
  /** The macros that the class asks for, as far as is known. Shared by its sessions, which add to it. */
  readonly macros: Set<string>;
}

/** In place of a step: no handler is running that could act. */
const ENDED = -1;

/** One SMTP session. Created by this package; each filter object has one. */
export class Context {
  readonly #backend: Backend;
  #private: unknown = null;
  #step: number = ENDED;
  #ended = false;
  #calling = false;
  #symlistStages = 0;
  /** The negotiated rights (SMFIF_ bits); all of them until then. Set by the session. */
  actions = 0xffffffff;
  /** The negotiated protocol (SMFIP_ bits). Set by the session. */
  protocol = 0;
  /** @internal Bytes that a frame to the MTA can carry. Set by the session. */
  maxDataSize = DEFAULT_MAX_DATA_SIZE;

  /** @internal */
  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** @internal What the session's filter object wants; null if there are callbacks only. */
  plan: SessionPlan | null = null;
  #abort: AbortController | null = null;
  /** The recipients of the message as the MTA has named them; null if there are none yet. */
  #recipients: Set<string> | null = null;

  /** @internal A step's handler is about to be called. */
  enter(step: number): void {
    // Without a handler for it, the MTA need not tell where a message begins.
    if (step === ENVFROM || step === ABORT || this.#step === EOM) this.#recipients = null;
    this.#step = step;
    this.#calling = true;
  }

  /** @internal The MTA has named a recipient of the message. */
  recipient(address: string): void {
    this.#recipients ??= new Set();
    this.#recipients.add(address);
  }

  /** @internal The handler has returned; if it is asynchronous, it is still running. */
  leave(): void {
    this.#calling = false;
  }

  /**
   * @internal The number of handlers that are still running although the MTA has been answered in their place. While there
   * are any, their calls cannot be told from those that the current handler makes after an await, so only those that
   * it makes before its first await are carried out.
   */
  overruns = 0;

  /** @internal The MTA has gone; getpriv and setpriv still work, for the close handler. */
  detach(): void {
    this.#step = ENDED;
    this.#abort ??= new AbortController();
    this.#abort.abort(new MilterError('ERR_MILTER_BAD_CONTEXT', 'the session has ended'));
  }

  /** @internal The MTA has been answered in place of the running handler. */
  interrupt(reason: MilterError): void {
    this.#step = ENDED;
    this.#abort?.abort(reason);
    this.#abort = null; // the next handler gets a new signal
  }

  /** @internal From now on every method throws "bad context". */
  end(): void {
    this.#step = ENDED;
    this.#ended = true;
  }

  /** @internal Whether the session has ended, and its close handler too. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Aborted when the running handler times out (handlerTimeout) or the session ends: pass it to what a handler awaits.
   * After it has been aborted, the next handler gets a new one, so read it anew in each handler.
   */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** The session's log, whose entries carry its name, its client and the MTA's queue id; see docs/logging.md. At any time. */
  get log(): Logger {
    return this.#backend.log ?? silentLogger;
  }

  /** The object that is kept with the session; null at first. libmilter: smfi_getpriv. */
  getpriv<T = unknown>(): T {
    if (this.#ended) throw badContext('getpriv');
    return this.#private as T;
  }

  /** Keeps an object with the session and returns the one it replaces. libmilter: smfi_setpriv. */
  setpriv<T = unknown>(value: unknown): T {
    if (this.#ended) throw badContext('setpriv');
    const old = this.#private;
    this.#private = value;
    return old as T;
  }

  /**
   * The value of a macro, or null if the MTA has not sent it. In any handler but close.
   * For single letters, `{x}` and `x` name the same macro; longer names need their braces. docs/macros.md says which macros
   * are sent when. libmilter: smfi_getsymval.
   * @throws MilterError ERR_MILTER_BAD_CONTEXT while the MTA waits for no handler of this session; ERR_MILTER_MACRO_NOT_KEPT in a
   *   handler marked noreply, for a name that neither MTA sends by default, when it may have been replaced
   */
  getsymval(name: string): string | null {
    checkWord('getsymval: name', name);
    this.#requireOpen('getsymval');
    const value = this.#backend.getsymval(name);
    if (value === undefined) throw badContext('getsymval');
    return value;
  }

  /**
   * Sets the reply of a REJECT (code 5xx) or TEMPFAIL (4xx): up to 32 lines of 980 bytes, in TAB and printable ASCII
   * characters (RFC 5321 4.2), with `%` doubled, and 16,000 octets in all. It is kept until a reply of its class is sent. Null as
   * the only line sends the codes alone. For text that comes from the client or a third party, {@link setReplyText} is safer.
   * libmilter: smfi_setreply, smfi_setmlreply.
   * @param extended the code of RFC 3463, of the same class as `code`. Where it is null and the text begins with a digit, X.0.0 is
   *   sent, because the MTA could take the text for a code
   * @throws MilterError ERR_MILTER_BAD_REPLY, also in negotiate
   */
  setreply(code: string, extended: string | null = null, ...lines: (string | null)[]): void {
    const texts = checkReply(code, extended, lines);
    this.#requireOpen('setreply');
    if (this.#step === NEGOTIATE) {
      throw new MilterError(
        'ERR_MILTER_BAD_REPLY',
        'setreply: not in negotiate, where there is no SMTP client yet: do this in connect or later',
      );
    }
    const done = this.#backend.setreply(code, extendedToSend(code, extended, texts), texts);
    if (done === undefined) throw badContext('setreply');
    if (!done) throw new MilterError('ERR_MILTER_BAD_REPLY', 'setreply: libmilter refused the reply');
  }

  /**
   * As {@link setreply}, with text from an untrusted source: an error's message, a list's answer, a client's words. Percent signs are
   * doubled; line breaks begin a new line; other control characters become blanks, and what is not ASCII becomes `?`; lines are
   * cut at the 512 octets that RFC 5321 4.5.3.1.5 allows, between words if possible; and a text that needs more than 32
   * lines, or 16,000 octets, ends in ` ...`. Without any text left, it is `try again later` or `refused`.
   * @param extended the code of RFC 3463; its class is corrected to that of `code`. Null: X.7.1, refused for reasons of policy
   * @throws MilterError ERR_MILTER_BAD_REPLY for codes that are none, never because of the text
   */
  setReplyText(code: string, extended: string | null, text: string): void {
    this.setreply(code, ...replyOfText(code, extended, text));
  }

  /**
   * Chooses the macros that the MTA sends at a stage (M_CONNECT .. M_EOH): at most 5, once per stage, in negotiate only.
   * Several names may stand in one string, separated by white space or commas, as MTAs do. libmilter: smfi_setsymlist.
   * @throws MilterError ERR_MILTER_BAD_SYMLIST
   */
  setsymlist(stage: number, ...macros: string[]): void {
    checkInteger('setsymlist: stage', stage, 0, M_EOH);
    for (const macro of macros) checkField('setsymlist', 'macro', macro);
    const names = macros
      .join(' ')
      .split(/[\s,]+/)
      .filter(Boolean);
    const fail = (message: string) => new MilterError('ERR_MILTER_BAD_SYMLIST', `setsymlist: ${message}`);
    this.#requireOpen('setsymlist');
    if (this.#step !== NEGOTIATE) throw fail('only in negotiate');
    if (names.length > MAX_SYMLIST_MACROS)
      throw fail(`at most ${MAX_SYMLIST_MACROS} macros, not ${names.length}`);
    if (this.#symlistStages & (1 << stage))
      throw fail(`the macros of stage ${stage} have already been chosen`);
    this.#requireRight('setsymlist', { bit: SETSYMLIST, name: 'SETSYMLIST' });
    const done = this.#backend.setsymlist(stage, names.join(' '));
    if (done === undefined) throw badContext('setsymlist');
    if (!done) throw fail('libmilter refused the list');
    this.#symlistStages |= 1 << stage;
  }

  /**
   * Adds a header at the end, or inserts it at `index` >= 0 (see docs/headers.md). `encodeHeader` of tsmilter/utils makes a
   * value of any text. libmilter: smfi_addheader, smfi_insheader.
   */
  addheader(name: string, value: string, index = -1): void {
    checkField('addheader', 'headerName', name);
    checkField('addheader', 'headerValue', value);
    checkInteger('addheader: index', index, -1);
    this.#requireEom('addheader', ActionKind.addheader);
    const kind = index < 0 ? ActionKind.addheader : ActionKind.insheader;
    this.#queue('addheader', kind, Math.max(index, 0), name, folded(value));
  }

  /** Changes the `index`th header of that name, counted from 1; null or '' deletes it. libmilter: smfi_chgheader. */
  chgheader(name: string, index: number, value: string | null): void {
    checkField('chgheader', 'headerName', name);
    checkInteger('chgheader: index', index, 0);
    if (value !== null) checkField('chgheader', 'headerValue', value);
    this.#requireEom('chgheader', ActionKind.chgheader);
    this.#queue('chgheader', ActionKind.chgheader, index, name, folded(value ?? ''));
  }

  /** Adds a recipient, with ESMTP parameters if given. libmilter: smfi_addrcpt, smfi_addrcpt_par. */
  addrcpt(recipient: string, params: string | null = null): void {
    checkField('addrcpt', 'recipient', recipient);
    if (params !== null) checkField('addrcpt', 'parameters', params);
    this.#requireEom('addrcpt', ActionKind.addrcpt);
    if (params !== null) this.#requireRight('addrcpt', ACTION_RIGHTS[ActionKind.addrcptPar]);
    const kind = params === null ? ActionKind.addrcpt : ActionKind.addrcptPar;
    this.#queue('addrcpt', kind, 0, recipient, params);
  }

  /**
   * Deletes a recipient, spelled as it was passed to envrcpt. Any address that has been passed to it may be deleted, also one that could
   * not be added. libmilter: smfi_delrcpt.
   */
  delrcpt(recipient: string): void {
    if (!this.#recipients?.has(recipient)) checkField('delrcpt', 'recipient', recipient);
    this.#requireEom('delrcpt', ActionKind.delrcpt);
    this.#queue('delrcpt', ActionKind.delrcpt, 0, recipient, null);
  }

  /** Replaces the body; further calls append to the replacement. Its lines must end in CRLF. libmilter: smfi_replacebody. */
  replacebody(body: string | Uint8Array): void {
    if (!types.isUint8Array(body)) checkText('replacebody: body', body);
    this.#requireEom('replacebody', ActionKind.replacebody);
    this.#enqueue('replacebody', ActionKind.replacebody, 0, body, null); // libmilter divides it into frames
  }

  /** Changes the envelope sender, with ESMTP parameters if given. libmilter: smfi_chgfrom. */
  chgfrom(sender: string, params: string | null = null): void {
    checkField('chgfrom', 'sender', sender);
    if (params !== null) checkField('chgfrom', 'parameters', params);
    this.#requireEom('chgfrom', ActionKind.chgfrom);
    this.#queue('chgfrom', ActionKind.chgfrom, 0, sender, params);
  }

  /** Has the MTA keep the message in its quarantine, for the given reason. libmilter: smfi_quarantine. */
  quarantine(reason: string): void {
    checkField('quarantine', 'reason', reason);
    this.#requireEom('quarantine', ActionKind.quarantine);
    this.#queue('quarantine', ActionKind.quarantine, 0, reason, null);
  }

  /** Tells the MTA that eom is still running, which restarts its timeout. libmilter: smfi_progress. */
  progress(): void {
    this.#requireEom('progress', ActionKind.progress);
    this.#queue('progress', ActionKind.progress, 0, '', null);
  }

  #requireOpen(action: string): void {
    if (this.#step === ENDED) throw badContext(action);
    if (this.overruns > 0 && !this.#calling) {
      throw new MilterError(
        'ERR_MILTER_BAD_CONTEXT',
        `${action}: bad context: an earlier handler of this session, which timed out, is still running`,
      );
    }
  }

  #requireRight(action: string, right: ActionRight | null): void {
    if (right && !(this.actions & right.bit)) throw new DisabledAction(action, right.name);
  }

  #requireEom(action: string, kind: ActionKind): void {
    this.#requireOpen(action);
    if (this.#step !== EOM) {
      throw new MilterError(
        'ERR_MILTER_NOT_IN_EOM',
        `${action} may be called in eom only, not in ${STEP_NAMES[this.#step]}: ` +
          'remember the change and make it there',
      );
    }
    this.#requireRight(action, ACTION_RIGHTS[kind]);
  }

  /** Queues what fits into one frame. */
  #queue(action: string, kind: ActionKind, index: number, first: string, second: string | null): void {
    const indexed = kind === ActionKind.insheader || kind === ActionKind.chgheader;
    const texts = second === null ? [first] : [first, second];
    checkFrame(action, this.maxDataSize, texts, indexed ? INDEX_BYTES : 0);
    this.#enqueue(action, kind, index, first, second);
  }

  #enqueue(
    action: string,
    kind: ActionKind,
    index: number,
    first: string | Uint8Array,
    second: string | null,
  ): void {
    if (!this.#backend.queue(kind, index, first, second)) throw badContext(action);
  }
}

/** MTAs expect LF between the lines of a header's value, as they send it; CRLF would become two line ends. */
function folded(value: string): string {
  return value.replaceAll('\r\n', '\n');
}

function badContext(action: string): MilterError {
  return new MilterError(
    'ERR_MILTER_BAD_CONTEXT',
    `${action}: bad context: the session has ended, or the MTA has already been answered`,
  );
}
