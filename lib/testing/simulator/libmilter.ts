/**
 * libmilter in TypeScript, as far as a filter and an MTA can tell: the commands and states of its engine.c, the macros and
 * replies of its smfi.c. Frames and sockets are left out. test/fuzz/test-ctx-agrees.test.ts compares it with the
 * real one.
 */

import { ACCEPT, DISCARD, NOREPLY, REJECT, TEMPFAIL } from '../../addon/constants.js';
import type { NegotiatedOptions } from '../../addon/native.js';
import { ABORT, NEGOTIABLE } from '../../addon/steps.js';
import { checkAnswer, type Negotiated, type Offer } from '../wire/negotiation.js';
import { SYMLIST_STAGES } from '../wire/protocol.js';
import type { Modification, Response } from '../wire/replies.js';
import { Bridge, type SharedDependencies } from './bridge.js';
import { inMessage, type StateName, type StateTable } from './libmilter-states.js';
import { Modifications, overTheWire } from './modifications.js';
import type { Action, Mta, ReplyArguments } from './mta.js';
import { completeNegotiation, negotiateArguments, receiveOffer } from './option-negotiation.js';
import { replyResponse, replyText, verdictResponse } from './reply-frames.js';
import { STEP_NUMBERS, type TestStep } from './steps.js';
import { STAGES, type Stage, Symbols } from './symbols.js';

/** The commands after which the macros of later stages are forgotten. */
const FORGETS: ReadonlySet<string> = new Set<Stage>(['connect', 'helo', 'envfrom', 'envrcpt']);
/** The commands whose refusal does not end the message (CT_IGNO). */
const REFUSABLE: ReadonlySet<string> = new Set<TestStep>(['envrcpt', 'unknown']);

const NO_REPLY = new Map(NEGOTIABLE.map(({ step, nr }) => [step, nr]));

/** The outcome of a command; without `reply` if libmilter sends none. */
export type Outcome = { readonly ignored: true } | { readonly ignored: false; readonly reply?: Response };

/** The outcome of the end of a message. */
export type EomOutcome = Outcome & {
  readonly modifications: readonly Modification[];
  readonly progress: number;
};

const IGNORED: Outcome = { ignored: true };

export class Libmilter implements Mta {
  readonly #dependencies: SharedDependencies;
  readonly #table: StateTable;
  readonly #symbols = new Symbols();
  readonly #symlists = new Map<number, string>();
  #bridge: Bridge | null = null;
  /** The options of the previous session on this connection. */
  #previousOptions: NegotiatedOptions | undefined;
  #state: StateName = 'init';
  #reply: string | null = null;
  /** The protocol bits that the MTA offered, and those in effect. */
  #offered = 0;
  #protocol = 0;
  #modifications = new Modifications();

  constructor(dependencies: SharedDependencies, table: StateTable) {
    this.#dependencies = dependencies;
    this.#table = table;
  }

  // --- commands of the MTA

  /** SMFIC_OPTNEG. @throws MilterError ERR_MILTER_CLOSED if libmilter closes the connection */
  async negotiate(offer: Offer): Promise<Negotiated> {
    const received = receiveOffer(offer);
    this.#state = 'negotiated';
    this.#offered = received.protocol;
    const bridge = this.#session();
    const verdict = await bridge.negotiate(negotiateArguments(received));
    const { protocol, answer } = completeNegotiation(received, verdict, bridge.options);
    this.#protocol = protocol;
    this.#table.leaveOut(protocol);
    const negotiated = { ...answer, symlists: this.#symlistsByStage() };
    checkAnswer(negotiated, offer);
    return negotiated;
  }

  /** SMFIC_MACRO. libmilter ignores the macros of steps that are no stage. */
  macros(stage: string, macros: ReadonlyMap<string, string>): void {
    if (macros.size > 0 && (STAGES as readonly string[]).includes(stage)) {
      this.#symbols.set(stage as Stage, macros);
    }
  }

  /** A command that has a handler. */
  async command(name: TestStep, ...args: readonly unknown[]): Promise<Outcome> {
    if (!(await this.#enter(name))) return IGNORED;
    if (FORGETS.has(name)) this.#symbols.clearAfter(name as Stage);
    const verdict = await this.#session().handle(STEP_NUMBERS[name], ...args);
    const reply = this.#send(verdict);
    const refuses = verdict === REJECT || verdict === DISCARD || verdict === TEMPFAIL;
    if (verdict === ACCEPT || (refuses && !REFUSABLE.has(name))) this.#state = 'helo';
    return reply ? { ignored: false, reply } : { ignored: false };
  }

  /** SMFIC_BODYEOB, with the modifications of its handler. */
  async eom(): Promise<EomOutcome> {
    this.#modifications = new Modifications();
    const outcome = await this.command('eom');
    const { list: modifications, progress } = this.#modifications;
    return { ...outcome, modifications, progress };
  }

  /** SMFIC_ABORT; there is no reply. */
  async abort(): Promise<void> {
    if (await this.#enter('abort')) await this.#session().handle(ABORT);
  }

  /** SMFIC_QUIT, or the end of the connection. */
  async quit(): Promise<void> {
    const entered = await this.#enter('quit');
    await this.#close();
    if (entered) this.#symbols.clearAfter();
  }

  /** SMFIC_QUIT_NC. Returns whether libmilter obeys. */
  async quitNewConnection(): Promise<boolean> {
    if (!(await this.#enter('quitNewConnection'))) return false;
    await this.#close();
    this.#symbols.clearAfter();
    return true;
  }

  // --- Mta: the handlers' calls

  getsymval(name: string): string | null {
    return this.#symbols.get(overTheWire(name));
  }

  setreply(...reply: ReplyArguments): boolean {
    this.#reply = replyText(...reply);
    return true; // lib/session/reply.ts has checked all that libmilter would
  }

  setsymlist(stage: number, macros: string): boolean {
    if (this.#symlists.has(stage)) return false;
    this.#symlists.set(stage, overTheWire(macros));
    return true;
  }

  perform(action: Action): void {
    this.#modifications.add(action);
  }

  // ---

  /** The present session, which begins here unless it was negotiated. */
  #session(): Bridge {
    this.#bridge ??= new Bridge(this, this.#dependencies, this.#previousOptions);
    return this.#bridge;
  }

  async #close(): Promise<void> {
    const bridge = this.#bridge;
    this.#previousOptions = bridge?.options;
    this.#bridge = null;
    await bridge?.close();
  }

  /** Goes to a command's state. Returns false if the command is ignored. */
  async #enter(state: StateName): Promise<boolean> {
    if (!this.#table.allows(this.#state, state)) {
      if (inMessage(this.#state)) await this.#session().handle(ABORT);
      this.#state = 'helo';
      if (!this.#table.allows(this.#state, state)) return false;
    }
    this.#state = state;
    return true;
  }

  /** sendreply: the response to the MTA; undefined if none is sent. */
  #send(verdict: number): Response | undefined {
    const bit = NO_REPLY.get(STEP_NUMBERS[this.#state as TestStep]) ?? 0;
    if (this.#protocol & bit) return this.#offered & bit ? undefined : { verdict: 'continue' };
    if (verdict === NOREPLY) return undefined;
    const ownClass = verdict === REJECT ? '5' : verdict === TEMPFAIL ? '4' : null;
    const reply = this.#reply;
    if (ownClass === null || !reply?.startsWith(ownClass)) return verdictResponse(verdict);
    this.#reply = null;
    return replyResponse(reply);
  }

  #symlistsByStage(): Negotiated['symlists'] {
    return Object.fromEntries(
      [...this.#symlists].map(([stage, names]) => [
        SYMLIST_STAGES[stage],
        names.split(/[ ,\t]+/).filter(Boolean),
      ]),
    );
  }
}
