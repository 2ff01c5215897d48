/** The class that filters extend: one object per SMTP session, one method per step, actions as methods. */

import type { ALL_OPTS } from '../addon/constants.js';
import { CONTINUE, SETSYMLIST } from '../addon/constants.js';
import type { Answer, Status } from '../addon/status.js';
import { badArgument, MilterError } from '../internal/errors.js';
import type { Logger } from '../internal/logger.js';
import { shareInstanceof } from '../internal/shared-instanceof.js';
import type { Context } from '../session/context.js';
import { currentFlags } from '../session/flags.js';
import type { Peer } from '../session/hostaddr.js';
import type { NegotiationOptions } from '../session/negotiation-options.js';
import { type Plan, planForObject, planOf } from './plan.js';

/**
 * What {@link Base} and {@link Milter} have in common: all but `log`, which is the session's log in the one and pymilter's method in
 * the other.
 */
export class AnyFilter {
  #context: Context | null = null;

  /**
   * The protocol bits (P_…) that this class takes of what an MTA offers: those that leave out steps without a handler, and
   * replies to handlers marked noreply. Computed for each class, never inherited.
   */
  static protocolMask(): number {
    // biome-ignore lint/complexity/noThisInStatic: the mask of the class it is called on, not of AnyFilter
    return planOf(this, AnyFilter).protocol;
  }

  /** @internal Refuses a class with decorators or method names that must be mistakes. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  static check(target: typeof AnyFilter): void {
    planOf(target, AnyFilter);
  }

  /**
   * @internal Called before the first handler.
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an object that serves another session, whose messages would get its actions
   */
  static attach(filter: AnyFilter, context: Context): void {
    const other = filter.#context;
    if (other && other !== context && !other.ended) {
      throw badArgument(
        'the factory gave an object that serves another session: it must make a new one for each session',
      );
    }
    filter.#context = context;
    context.plan = filter.#makePlan();
  }

  #makePlan(): Plan {
    return planForObject(this, planOf(this.constructor as typeof AnyFilter, AnyFilter));
  }

  /** @internal */
  get context(): Context {
    if (!this.#context) {
      throw new MilterError(
        'ERR_MILTER_BAD_CONTEXT',
        'bad context: the session starts after the constructor; do this in connect or later',
      );
    }
    return this.#context;
  }

  // --- steps

  /**
   * The first call: what the MTA offers, to be changed in place to what the filter takes. The default takes what the class's
   * methods and decorators ask for; to take more, override it and call `super.negotiate(options)`. Where it throws, or
   * chooses what the MTA does not offer, the MTA's whole offer is taken. libmilter: xxfi_negotiate.
   */
  negotiate(options: NegotiationOptions): Answer | typeof ALL_OPTS | Promise<Status | typeof ALL_OPTS> {
    const plan = (this.#context?.plan as Plan | null) ?? this.#makePlan();
    const offered = options[0];
    options[0] = offered & currentFlags();
    options[1] &= plan.protocol;
    options[2] = 0;
    options[3] = 0;
    if (offered & SETSYMLIST) {
      for (const [stage, macros] of plan.symlists) this.context.setsymlist(stage, ...macros);
    }
    return CONTINUE;
  }

  /**
   * An SMTP client has connected. `hostname` is its name as the MTA found it, or `[address]`. libmilter: xxfi_connect.
   * @param peer the family, and the address whose type it narrows; see {@link Peer}. A handler may also leave it out, or take
   *   `family: number, hostaddr: unknown`
   */
  connect(hostname: string, ...peer: Peer | [] | [family: number, hostaddr: unknown]): Answer {
    void hostname;
    void peer;
    return CONTINUE;
  }

  /** HELO or EHLO; it may come several times, or never. libmilter: xxfi_helo. */
  hello(hostname: string): Answer {
    void hostname;
    return CONTINUE;
  }

  /** MAIL: the sender as the client wrote it, with or without `<>`, and its ESMTP parameters. libmilter: xxfi_envfrom. */
  envfrom(sender: string, ...params: string[]): Answer {
    void sender;
    void params;
    return CONTINUE;
  }

  /** RCPT, once per recipient: REJECT and TEMPFAIL refuse this recipient only. libmilter: xxfi_envrcpt. */
  envrcpt(recipient: string, ...params: string[]): Answer {
    void recipient;
    void params;
    return CONTINUE;
  }

  /** DATA. libmilter: xxfi_data. */
  data(): Answer {
    return CONTINUE;
  }

  /** A header field: folded lines are separated by LF, and one space after the colon is removed. libmilter: xxfi_header. */
  header(name: string, value: string): Answer {
    void name;
    void value;
    return CONTINUE;
  }

  /** The end of the headers. libmilter: xxfi_eoh. */
  eoh(): Answer {
    return CONTINUE;
  }

  /** A chunk of the body, whose lines end in CRLF. SKIP: no more of them. libmilter: xxfi_body. */
  body(chunk: Buffer): Answer {
    void chunk;
    return CONTINUE;
  }

  /** The end of the message, and the only place for modifications. libmilter: xxfi_eom. */
  eom(): Answer {
    return CONTINUE;
  }

  /** A command that the MTA does not know. libmilter: xxfi_unknown. */
  unknown(command: string): Answer {
    void command;
    return CONTINUE;
  }

  /** The message has ended without eom; the session may go on. The answer is ignored. libmilter: xxfi_abort. */
  abort(): Answer {
    return CONTINUE;
  }

  /** The session has ended; called once. The answer is ignored. libmilter: xxfi_close. */
  close(): Answer {
    return CONTINUE;
  }

  // --- what a handler may ask of the MTA

  /** Aborted when the running handler times out or the session ends. See {@link Context.signal}. */
  get signal(): AbortSignal {
    return this.context.signal;
  }

  /** The value of a macro, or null. See {@link Context.getsymval}. */
  getsymval(name: string): string | null {
    return this.context.getsymval(name);
  }

  /** Sets the reply of the REJECT or TEMPFAIL that follows. See {@link Context.setreply}. */
  setreply(code: string, extended: string | null = null, ...lines: (string | null)[]): void {
    this.context.setreply(code, extended, ...lines);
  }

  /** As setreply, with text that comes from the client or a third party. See {@link Context.setReplyText}. */
  setReplyText(code: string, extended: string | null, text: string): void {
    this.context.setReplyText(code, extended, text);
  }

  /** Chooses the macros of a stage, in negotiate. See {@link Context.setsymlist}. */
  setsymlist(stage: number, ...macros: string[]): void {
    this.context.setsymlist(stage, ...macros);
  }

  /** Adds a header, or inserts it at `index`. In eom. See {@link Context.addheader}. */
  addheader(name: string, value: string, index = -1): void {
    this.context.addheader(name, value, index);
  }

  /** Changes or deletes (null) the `index`th header of a name. In eom. See {@link Context.chgheader}. */
  chgheader(name: string, index: number, value: string | null): void {
    this.context.chgheader(name, index, value);
  }

  /** Adds a recipient. In eom. See {@link Context.addrcpt}. */
  addrcpt(recipient: string, params: string | null = null): void {
    this.context.addrcpt(recipient, params);
  }

  /** Deletes a recipient. In eom. See {@link Context.delrcpt}. */
  delrcpt(recipient: string): void {
    this.context.delrcpt(recipient);
  }

  /** Replaces the body, or appends to the replacement. In eom. See {@link Context.replacebody}. */
  replacebody(body: string | Uint8Array): void {
    this.context.replacebody(body);
  }

  /** Changes the envelope sender. In eom. See {@link Context.chgfrom}. */
  chgfrom(sender: string, params: string | null = null): void {
    this.context.chgfrom(sender, params);
  }

  /** Quarantines the message. In eom. See {@link Context.quarantine}. */
  quarantine(reason: string): void {
    this.context.quarantine(reason);
  }

  /** Tells the MTA that eom is still running. In eom. See {@link Context.progress}. */
  progress(): void {
    this.context.progress();
  }
}
shareInstanceof(AnyFilter, 'Base');

/**
 * A filter. Override the steps that you want: the MTA does not send those that are not overridden. Each handler answers with
 * a status, or a promise of one; the handlers of a session run one by one, in order.
 *
 * docs/callbacks.md says when each fires, what may be called in it, and when its answer takes effect.
 */
export class Base extends AnyFilter {
  /**
   * The session's log. Each entry carries the session's name, its client and, once the MTA has given it, the queue id.
   * docs/logging.md has examples.
   */
  get log(): Logger {
    return this.context.log;
  }
}
shareInstanceof(Base, 'Base');
