/**
 * libmilter in TypeScript, as far as a filter and an MTA can tell: the commands and states of its engine.c, the replies,
 * macros and actions of its smfi.c. Frames and sockets are left out. test/integration/test-ctx-agrees.test.ts holds it
 * against the real one.
 */

import {
  ACCEPT,
  ALL_OPTS,
  CONTINUE,
  DISCARD,
  NOREPLY,
  REJECT,
  SKIP,
  TEMPFAIL,
} from '../../addon/constants.js';
import { ActionKind } from '../../addon/kinds.js';
import {
  ABORT,
  BODY,
  CONNECT,
  DATA,
  ENVFROM,
  ENVRCPT,
  EOH,
  EOM,
  HEADER,
  HELO,
  NEGOTIABLE,
  UNKNOWN,
} from '../../addon/steps.js';
import { decodeBytes, encodeBytes } from '../../internal/bytes.js';
import { MilterError } from '../../internal/errors.js';
import { checkAnswer, type Negotiated, type Offer } from '../wire/negotiation.js';
import { Actions, Answer, CURRENT_VERSION, Protocol, SYMLIST_STAGES } from '../wire/protocol.js';
import { type Modification, parseVerdict, type Response } from '../wire/replies.js';
import { type Action, Bridge, type Mta, type SharedDependencies } from './bridge.js';
import { inMessage, type StateName, type StateTable } from './libmilter-states.js';
import { STAGES, type Stage, Symbols } from './symbols.js';

/** A step of a session that has a handler and a reply, by the name of its libmilter callback. */
export type TestStep =
  | 'connect'
  | 'helo'
  | 'envfrom'
  | 'envrcpt'
  | 'data'
  | 'header'
  | 'eoh'
  | 'body'
  | 'eom'
  | 'unknown';

const STEPS: Readonly<Record<TestStep, number>> = {
  connect: CONNECT,
  helo: HELO,
  envfrom: ENVFROM,
  envrcpt: ENVRCPT,
  data: DATA,
  header: HEADER,
  eoh: EOH,
  body: BODY,
  eom: EOM,
  unknown: UNKNOWN,
};

/** The commands after which the macros of later stages are forgotten. */
const FORGETS: ReadonlySet<string> = new Set<Stage>(['connect', 'helo', 'envfrom', 'envrcpt']);
/** The commands that a refusal does not end the message of (CT_IGNO). */
const REFUSABLE: ReadonlySet<string> = new Set<TestStep>(['envrcpt', 'unknown']);

const NO_REPLY = new Map(NEGOTIABLE.map(({ step, nr }) => [step, nr]));
/** "No reply" is on offer always: libmilter replies in the filter's place where the MTA does not know it. */
const ALL_NO_REPLY = NEGOTIABLE.reduce((bits, { nr }) => bits | nr, 0);
/** SMFI_INTERNAL: bits that are between libmilter and the MTA. */
const INTERNAL = 0x70000000;
/** SMFI_V1_ACTS and SMFI_V1_PROT: what an MTA that offers nothing is taken to offer. */
const V1_ACTIONS = Actions.ADDHDRS | Actions.CHGBODY | Actions.ADDRCPT | Actions.DELRCPT;
const V1_PROTOCOL = 0x3f;

const VERDICT_FRAMES: ReadonlyMap<number, number> = new Map([
  [CONTINUE, Answer.CONTINUE],
  [REJECT, Answer.REJECT],
  [DISCARD, Answer.DISCARD],
  [ACCEPT, Answer.ACCEPT],
  [TEMPFAIL, Answer.TEMPFAIL],
  [SKIP, Answer.SKIP],
]);

/** What libmilter made of a command: `reply` undefined where it sends none. */
export type Outcome = { readonly ignored: true } | { readonly ignored: false; readonly reply?: Response };

const IGNORED: Outcome = { ignored: true };
const NOTHING = Buffer.alloc(0);

/** Text as it comes out of a trip over the wire. */
const overTheWire = (text: string): string => decodeBytes(encodeBytes(text));

/** A reply as smfi_setreply and smfi_setmlreply write it. */
function replyText(code: string, extended: string | null, lines: readonly string[]): string {
  if (lines.length <= 1) {
    return `${code} ${[...(extended ? [extended] : []), ...lines].join(' ')}`;
  }
  const codes = extended || (code.startsWith('4') ? '4.0.0' : '5.0.0');
  return lines
    .map((line, index) => `${code}${index < lines.length - 1 ? '-' : ' '}${codes} ${line}`)
    .join('\r\n');
}

function refused(why: string): MilterError {
  return new MilterError(
    'ERR_MILTER_CLOSED',
    `the negotiation failed, and libmilter closes the connection: ${why}`,
  );
}

export class Libmilter implements Mta {
  readonly #dependencies: SharedDependencies;
  readonly #table: StateTable;
  readonly #symbols = new Symbols();
  readonly #symlists = new Map<number, string>();
  #bridge: Bridge | null = null;
  /** What a session that has ended on this connection had negotiated. */
  #terms: Bridge['terms'] | undefined;
  #state: StateName = 'init';
  #reply: string | null = null;
  /** The bits that the MTA offered, and those that were settled on. */
  #offered = 0;
  #protocol = 0;
  #modifications: Modification[] = [];
  #progress = 0;

  constructor(dependencies: SharedDependencies, table: StateTable) {
    this.#dependencies = dependencies;
    this.#table = table;
  }

  // --- commands of the MTA

  /** SMFIC_OPTNEG. @throws MilterError ERR_MILTER_CLOSED where libmilter hangs up */
  async negotiate(offer: Offer): Promise<Negotiated> {
    if (offer.version < 2) throw refused(`version ${offer.version} is too old`);
    this.#state = 'negotiated';
    const actionsOffered = offer.actions === 0 ? V1_ACTIONS : offer.actions;
    const protocolOffered = offer.protocol === 0 ? V1_PROTOCOL : offer.protocol;
    this.#offered = protocolOffered & ~INTERNAL;

    const bridge = this.#session();
    const verdict = await bridge.negotiate([
      actionsOffered >>> 0,
      (this.#offered | ALL_NO_REPLY) >>> 0,
      0,
      0,
    ]);
    let actions = actionsOffered;
    let protocol = this.#offered & Protocol.SKIP;
    if (verdict === CONTINUE) {
      actions = bridge.terms.actions;
      protocol = bridge.terms.protocol | bridge.terms.added;
      this.#protocol = protocol;
    } else if (verdict !== ALL_OPTS) {
      throw refused(`negotiate answered ${verdict}`);
    }
    protocol &= ~(ALL_NO_REPLY & ~this.#offered);
    if (actions & ~actionsOffered) throw refused('the filter wants rights that were not offered');
    if (protocol & ~this.#offered) protocol &= ~((Protocol.NODATA | Protocol.NOUNKNOWN) & ~this.#offered);
    if (protocol & ~this.#offered) throw refused('the filter wants protocol bits that were not offered');
    this.#table.leaveOut(this.#protocol);

    const negotiated = {
      version: Math.min(offer.version, CURRENT_VERSION),
      actions: actions >>> 0,
      protocol: (protocol & ~INTERNAL) >>> 0,
      symlists: Object.fromEntries(
        [...this.#symlists].map(([stage, names]) => [
          SYMLIST_STAGES[stage],
          names.split(/[ ,\t]+/).filter(Boolean),
        ]),
      ),
    };
    checkAnswer(negotiated, offer);
    return negotiated;
  }

  /** SMFIC_MACRO. Of other steps than the stages, libmilter throws them away. */
  macros(stage: string, macros: ReadonlyMap<string, string>): void {
    if (macros.size > 0 && (STAGES as readonly string[]).includes(stage)) {
      this.#symbols.set(stage as Stage, macros);
    }
  }

  /** A command that has a handler. */
  async command(name: TestStep, ...args: readonly unknown[]): Promise<Outcome> {
    if (!(await this.#enter(name))) return IGNORED;
    if (FORGETS.has(name)) this.#symbols.clearAfter(name as Stage);
    const verdict = await this.#session().handle(STEPS[name], ...args);
    const reply = this.#send(verdict);
    const refuses = verdict === REJECT || verdict === DISCARD || verdict === TEMPFAIL;
    if (verdict === ACCEPT || (refuses && !REFUSABLE.has(name))) this.#state = 'helo';
    return reply ? { ignored: false, reply } : { ignored: false };
  }

  /** SMFIC_BODYEOB, with what its handler changes. */
  async eom(): Promise<
    Outcome & { readonly modifications: readonly Modification[]; readonly progress: number }
  > {
    this.#modifications = [];
    this.#progress = 0;
    const outcome = await this.command('eom');
    return { ...outcome, modifications: this.#modifications, progress: this.#progress };
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

  /** SMFIC_QUIT_NC; whether libmilter obeys. */
  async quitNewConnection(): Promise<boolean> {
    if (!(await this.#enter('quitNewConnection'))) return false;
    await this.#close();
    this.#symbols.clearAfter();
    return true;
  }

  // --- Mta: what handlers ask for

  getsymval(name: string): string | null {
    return this.#symbols.get(overTheWire(name));
  }

  setreply(code: string, extended: string | null, lines: readonly string[]): boolean {
    this.#reply = replyText(code, extended, lines);
    return true; // lib/session/reply.ts has checked all that libmilter would
  }

  setsymlist(stage: number, macros: string): boolean {
    if (this.#symlists.has(stage)) return false;
    this.#symlists.set(stage, overTheWire(macros));
    return true;
  }

  perform({ kind, index, first, second }: Action): void {
    if (kind === ActionKind.progress) {
      this.#progress++;
      return;
    }
    if (kind === ActionKind.replacebody) {
      this.#replaceBody(typeof first === 'string' ? encodeBytes(first) : Buffer.from(first));
      return;
    }
    const text = overTheWire(first as string);
    const more = second === null ? null : overTheWire(second);
    const params = more === null ? {} : { params: more };
    const value = more ?? '';
    switch (kind) {
      case ActionKind.addheader:
        this.#modifications.push({ type: 'addheader', name: text, value });
        break;
      case ActionKind.insheader:
        this.#modifications.push({ type: 'insheader', index, name: text, value });
        break;
      case ActionKind.chgheader:
        this.#modifications.push({ type: 'chgheader', index, name: text, value });
        break;
      case ActionKind.addrcpt:
      case ActionKind.addrcptPar:
        this.#modifications.push({ type: 'addrcpt', recipient: text, ...params });
        break;
      case ActionKind.delrcpt:
        this.#modifications.push({ type: 'delrcpt', recipient: text });
        break;
      case ActionKind.chgfrom:
        this.#modifications.push({ type: 'chgfrom', sender: text, ...params });
        break;
      case ActionKind.quarantine:
        this.#modifications.push({ type: 'quarantine', reason: text });
        break;
    }
  }

  // ---

  /** The session at work, begun here where the MTA does not negotiate, or not again. */
  #session(): Bridge {
    this.#bridge ??= new Bridge(this, this.#dependencies, this.#terms);
    return this.#bridge;
  }

  async #close(): Promise<void> {
    const bridge = this.#bridge;
    this.#terms = bridge?.terms;
    this.#bridge = null;
    await bridge?.close();
  }

  /** Goes to a command's state; false where the command is ignored. */
  async #enter(state: StateName): Promise<boolean> {
    if (!this.#table.allows(this.#state, state)) {
      if (inMessage(this.#state)) await this.#session().handle(ABORT);
      this.#state = 'helo';
      if (!this.#table.allows(this.#state, state)) return false;
    }
    this.#state = state;
    return true;
  }

  /** sendreply: the reply that goes with a verdict; nothing where none is sent. */
  #send(verdict: number): Response | undefined {
    const bit = NO_REPLY.get(STEPS[this.#state as TestStep]) ?? 0;
    if (this.#protocol & bit) {
      return this.#offered & bit ? undefined : parseVerdict(Answer.CONTINUE, NOTHING);
    }
    if (verdict === NOREPLY) return undefined;
    const ownClass = verdict === REJECT ? '5' : verdict === TEMPFAIL ? '4' : null;
    if (ownClass !== null && this.#reply?.startsWith(ownClass)) {
      const text = encodeBytes(`${this.#reply}\0`);
      this.#reply = null;
      return parseVerdict(Answer.REPLYCODE, text);
    }
    return parseVerdict(VERDICT_FRAMES.get(verdict) as number, NOTHING);
  }

  #replaceBody(bytes: Buffer): void {
    const last = this.#modifications.at(-1);
    if (last?.type !== 'replacebody') {
      this.#modifications.push({ type: 'replacebody', body: bytes });
      return;
    }
    this.#modifications[this.#modifications.length - 1] = {
      type: 'replacebody',
      body: Buffer.concat([last.body, bytes]),
    };
  }
}
