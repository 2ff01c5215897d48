/**
 * A session as handlers see it: what the MTA says of it, and what may be asked of the MTA.
 *
 * All checks of stage, negotiated rights and arguments are here, for the real MTA and for tests without one alike;
 * a {@link Backend} only carries out. pymilter calls this milterContext.
 */

import {
  ADDHDRS,
  ADDRCPT,
  ADDRCPT_PAR,
  CHGBODY,
  CHGFROM,
  CHGHDRS,
  DELRCPT,
  M_EOH,
  QUARANTINE,
  SETSYMLIST,
} from '../addon/constants.js';
import { ActionKind } from '../addon/native.js';
import { EOM, NEGOTIATE, STEP_NAMES } from '../addon/steps.js';
import { DisabledAction, MilterError } from '../internal/errors.js';
import {
  checkHeaderName,
  checkHeaderValue,
  checkInteger,
  checkLine,
  checkText,
  checkWord,
} from '../internal/validate.js';
import { checkReply } from './reply.js';

/** Macros that an MTA takes for one stage. */
const MOST_SYMLIST_MACROS = 5;

/** Carries out what a context has checked. Undefined (queue: false) where the MTA is not waiting any more. */
export interface Backend {
  getsymval(name: string): string | null | undefined;
  setreply(code: string, extended: string | null, lines: readonly string[]): boolean | undefined;
  setsymlist(stage: number, macros: string): boolean | undefined;
  queue(kind: ActionKind, index: number, first: string | Uint8Array, second: string | null): boolean;
}

/** A lasting state no method of the context works in. */
const ENDED = -1;

/** One SMTP session. Made by this package; a filter object has one. */
export class Context {
  readonly #backend: Backend;
  #private: unknown = null;
  #step: number = ENDED;
  #ended = false;
  #calling = false;
  #symlistStages = 0;
  /** The negotiated rights (SMFIF_ bits); all of them until negotiated. Kept by the delivery. */
  actions = 0xffffffff;
  /** The negotiated protocol (SMFIP_ bits). Kept by the delivery. */
  protocol = 0;

  /** @internal */
  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** @internal Steps that have a handler of their own (bits), where the filter knows better than the callbacks. */
  handled: number | null = null;
  /** @internal Whether every event is answered by itself, where the filter says so. */
  immediate: boolean | null = null;
  #abort: AbortController | null = null;

  /** @internal A step's handler is called now. */
  enter(step: number): void {
    this.#step = step;
    this.#calling = true;
  }

  /** @internal The handler has returned; where it gave a promise, it goes on by itself. */
  leave(): void {
    this.#calling = false;
  }

  /**
   * @internal How many handlers are at work that have been answered for. While there are any, what they do cannot be
   * told from what the handler at work does after an await: so only what is done before its first await counts.
   */
  overruns = 0;

  /** @internal The MTA is gone; getpriv and setpriv still work, for the close handler. */
  detach(): void {
    this.#step = ENDED;
    this.#abort ??= new AbortController();
    this.#abort.abort(new MilterError('ERR_MILTER_BAD_CONTEXT', 'the session has ended'));
  }

  /** @internal The handler at work has been answered for. */
  interrupt(reason: MilterError): void {
    this.#step = ENDED;
    this.#abort?.abort(reason);
    this.#abort = null; // the next handler begins with a fresh signal
  }

  /** @internal Nothing works any more. */
  end(): void {
    this.#step = ENDED;
    this.#ended = true;
  }

  /**
   * Aborted when the handler at work runs out of time (handlerTimeout) or the session ends: pass it to what a handler
   * awaits. A signal lasts until it is aborted; ask for it anew in each handler.
   */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** The object kept with the session, null at first. libmilter: smfi_getpriv. */
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
   * The value of a macro, or null where the MTA has not sent it. Any handler but close.
   * `{x}` and `x` name one macro for single letters; longer names need their braces. docs/macros.md says which
   * macros come when. libmilter: smfi_getsymval.
   * @throws MilterError ERR_MILTER_BAD_CONTEXT where no handler of the session is being waited for
   */
  getsymval(name: string): string | null {
    checkWord('getsymval: name', name);
    this.#live('getsymval');
    const value = this.#backend.getsymval(name);
    if (value === undefined) throw badContext('getsymval');
    return value;
  }

  /**
   * The text for a REJECT (code 5xx) or TEMPFAIL (4xx): up to 32 lines of 980 bytes, `%` doubled. It stays until a
   * reply of its class is sent. Null as only line sends the codes alone. libmilter: smfi_setreply, smfi_setmlreply.
   * @throws MilterError ERR_MILTER_BAD_REPLY
   */
  setreply(code: string, extended: string | null = null, ...lines: (string | null)[]): void {
    const texts = checkReply(code, extended, lines);
    this.#live('setreply');
    const done = this.#backend.setreply(code, extended, texts);
    if (done === undefined) throw badContext('setreply');
    if (!done) throw new MilterError('ERR_MILTER_BAD_REPLY', 'setreply: libmilter refused the reply');
  }

  /**
   * Chooses the macros the MTA sends at a stage (M_CONNECT .. M_EOH): at most 5, once per stage, in negotiate only.
   * Several names may stand in one string, separated by spaces. libmilter: smfi_setsymlist.
   * @throws MilterError ERR_MILTER_BAD_SYMLIST
   */
  setsymlist(stage: number, ...macros: string[]): void {
    checkInteger('setsymlist: stage', stage, 0, M_EOH);
    for (const macro of macros) checkText('setsymlist: macro', macro);
    const names = macros.join(' ').split(/\s+/).filter(Boolean);
    const fail = (message: string) => new MilterError('ERR_MILTER_BAD_SYMLIST', `setsymlist: ${message}`);
    if (this.#step !== NEGOTIATE) throw fail('only in negotiate');
    if (names.length > MOST_SYMLIST_MACROS)
      throw fail(`at most ${MOST_SYMLIST_MACROS} macros, not ${names.length}`);
    if (this.#symlistStages & (1 << stage))
      throw fail(`the macros of stage ${stage} have been chosen already`);
    this.#require('setsymlist', SETSYMLIST, 'SETSYMLIST');
    const done = this.#backend.setsymlist(stage, names.join(' '));
    if (done === undefined) throw badContext('setsymlist');
    if (!done) throw fail('libmilter refused the list');
    this.#symlistStages |= 1 << stage;
  }

  /** Adds a header: at the end, or with `index` >= 0 inserted there (see docs/headers.md). smfi_addheader, smfi_insheader. */
  addheader(name: string, value: string, index = -1): void {
    checkHeaderName('addheader', name);
    checkHeaderValue('addheader', value);
    checkInteger('addheader: index', index, -1);
    this.#modify('addheader', ADDHDRS, 'ADDHDRS');
    const kind = index < 0 ? ActionKind.addheader : ActionKind.insheader;
    this.#queue('addheader', kind, Math.max(index, 0), name, folded(value));
  }

  /** Changes the `index`th (from 1) header of that name; null or '' deletes it. libmilter: smfi_chgheader. */
  chgheader(name: string, index: number, value: string | null): void {
    checkHeaderName('chgheader', name);
    checkInteger('chgheader: index', index, 0);
    if (value !== null) checkHeaderValue('chgheader', value);
    this.#modify('chgheader', CHGHDRS, 'CHGHDRS');
    this.#queue('chgheader', ActionKind.chgheader, index, name, value === null ? null : folded(value));
  }

  /** Adds a recipient, with ESMTP parameters where given. libmilter: smfi_addrcpt, smfi_addrcpt_par. */
  addrcpt(recipient: string, params: string | null = null): void {
    checkLine('addrcpt: recipient', recipient);
    if (params !== null) checkText('addrcpt: params', params);
    this.#modify('addrcpt', ADDRCPT, 'ADDRCPT');
    if (params !== null) this.#require('addrcpt', ADDRCPT_PAR, 'ADDRCPT_PAR');
    const kind = params === null ? ActionKind.addrcpt : ActionKind.addrcptPar;
    this.#queue('addrcpt', kind, 0, recipient, params);
  }

  /** Deletes a recipient, spelled as envrcpt got it. libmilter: smfi_delrcpt. */
  delrcpt(recipient: string): void {
    checkLine('delrcpt: recipient', recipient);
    this.#modify('delrcpt', DELRCPT, 'DELRCPT');
    this.#queue('delrcpt', ActionKind.delrcpt, 0, recipient, null);
  }

  /** Replaces the body; further calls append to the new one. Lines end in CRLF. libmilter: smfi_replacebody. */
  replacebody(body: string | Uint8Array): void {
    if (!(body instanceof Uint8Array)) checkText('replacebody: body', body);
    this.#modify('replacebody', CHGBODY, 'CHGBODY');
    this.#queue('replacebody', ActionKind.replacebody, 0, body, null);
  }

  /** Changes the envelope sender, with ESMTP parameters where given. libmilter: smfi_chgfrom. */
  chgfrom(sender: string, params: string | null = null): void {
    checkLine('chgfrom: sender', sender);
    if (params !== null) checkText('chgfrom: params', params);
    this.#modify('chgfrom', CHGFROM, 'CHGFROM');
    this.#queue('chgfrom', ActionKind.chgfrom, 0, sender, params);
  }

  /** Holds the message in the MTA's quarantine, for a reason. libmilter: smfi_quarantine. */
  quarantine(reason: string): void {
    checkLine('quarantine: reason', reason);
    this.#modify('quarantine', QUARANTINE, 'QUARANTINE');
    this.#queue('quarantine', ActionKind.quarantine, 0, reason, null);
  }

  /** Tells the MTA that eom is still at work, so that its timeout starts anew. libmilter: smfi_progress. */
  progress(): void {
    this.#modify('progress', 0, '');
    this.#queue('progress', ActionKind.progress, 0, '', null);
  }

  #live(action: string): void {
    if (this.#step === ENDED) throw badContext(action);
    if (this.overruns > 0 && !this.#calling) {
      throw new MilterError(
        'ERR_MILTER_BAD_CONTEXT',
        `${action}: bad context: an earlier handler of this session is still at work past its time`,
      );
    }
  }

  #require(action: string, flag: number, name: string): void {
    if (flag !== 0 && !(this.actions & flag)) throw new DisabledAction(action, name);
  }

  #modify(action: string, flag: number, name: string): void {
    this.#live(action);
    if (this.#step !== EOM) {
      throw new MilterError(
        'ERR_MILTER_NOT_IN_EOM',
        `${action} may be called in eom only, not in ${STEP_NAMES[this.#step]}: ` +
          'keep what you want to change and do it there',
      );
    }
    this.#require(action, flag, name);
  }

  #queue(
    action: string,
    kind: ActionKind,
    index: number,
    first: string | Uint8Array,
    second: string | null,
  ): void {
    if (!this.#backend.queue(kind, index, first, second)) throw badContext(action);
  }
}

/** In a header's value MTAs take LF for a line end, as they give it; of CRLF they make two. */
function folded(value: string): string {
  return value.replaceAll('\r\n', '\n');
}

function badContext(action: string): MilterError {
  return new MilterError(
    'ERR_MILTER_BAD_CONTEXT',
    `${action}: bad context: the session has ended, or its handler has been answered for already`,
  );
}
