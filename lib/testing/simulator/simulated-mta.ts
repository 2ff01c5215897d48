/** The MTA between a test and the simulated libmilter: negotiation, macros, and the steps that are sent or left out. */
import { MilterError } from '../../internal/errors.js';
import { type Macros, restrictToSymlist, wireName } from '../wire/macros.js';
import { effectiveProtocol, type Negotiated } from '../wire/negotiation.js';
import { Protocol, STEPS } from '../wire/protocol.js';
import type { EomResponse, Reply, Response } from '../wire/replies.js';
import { textOf } from './arguments.js';
import type { Libmilter, Outcome } from './libmilter.js';
import { type TestStep, WIRE_STEPS } from './steps.js';
import type { NormalisedTestCtxOptions } from './test-ctx-options.js';

const SKIPPED: Response = { verdict: 'skipped' };
const NOREPLY: Response = { verdict: 'noreply' };

/** Macros by name, as the simulated libmilter keeps them. */
export type MacroValues = ReadonlyMap<string, string>;

export class SimulatedMta {
  readonly #libmilter: Libmilter;
  readonly #options: NormalisedTestCtxOptions;
  #negotiated: Negotiated | null = null;
  #negotiating: Promise<void> | null = null;
  /** The protocol bits in effect; none before negotiation. */
  #protocol = 0;
  #reply: Reply | null = null;

  constructor(libmilter: Libmilter, options: NormalisedTestCtxOptions) {
    this.#libmilter = libmilter;
    this.#options = options;
  }

  /** What was negotiated; null before that. */
  get negotiated(): Negotiated | null {
    return this.#negotiated;
  }

  /** The reply that was sent last with a REJECT or TEMPFAIL; null if the MTA would send its own text. */
  get reply(): Reply | null {
    return this.#reply;
  }

  /** Whether header values keep the space after the colon. */
  get leadingSpace(): boolean {
    return (this.#protocol & Protocol.HDR_LEADSPC) !== 0;
  }

  /** Negotiates, once. */
  begin(): Promise<void> {
    this.#negotiating ??= this.#negotiate();
    return this.#negotiating;
  }

  /** Sends macros for a step, whatever the filter's symbol lists say. */
  async macros(step: TestStep, macros: MacroValues): Promise<void> {
    await this.begin();
    this.#libmilter.macros(step, macros);
  }

  /** Sends a step with its macros, unless it was negotiated away. */
  async step(name: TestStep, ...args: readonly unknown[]): Promise<Response> {
    await this.begin();
    const { off, noReply } = STEPS[WIRE_STEPS[name]];
    this.#automaticMacros(name);
    if (this.#protocol & off) return SKIPPED;
    const outcome = await this.#libmilter.command(name, ...args);
    if (!outcome.ignored && this.#protocol & noReply) return NOREPLY;
    return this.#responseTo(name, outcome);
  }

  /** Ends the message. */
  async eom(): Promise<EomResponse> {
    await this.begin();
    this.#automaticMacros('eom');
    const outcome = await this.#libmilter.eom();
    const { modifications, progress } = outcome;
    return { ...this.#responseTo('eom', outcome), modifications, progress };
  }

  async abort(): Promise<void> {
    await this.begin();
    await this.#libmilter.abort();
  }

  async quitNewConnection(): Promise<void> {
    await this.begin();
    if (!(await this.#libmilter.quitNewConnection())) throw ignored('quitNewConnection');
  }

  quit(): Promise<void> {
    return this.#libmilter.quit();
  }

  async #negotiate(): Promise<void> {
    if (!this.#options.negotiate) return;
    this.#negotiated = await this.#libmilter.negotiate(this.#options.offer);
    this.#protocol = effectiveProtocol(this.#negotiated);
  }

  #responseTo(name: TestStep, outcome: Outcome): Response {
    if (outcome.ignored || !outcome.reply) throw ignored(name);
    const { reply } = outcome;
    if (reply.verdict === 'reject' || reply.verdict === 'tempfail') this.#reply = reply.reply ?? null;
    return reply;
  }

  /** Macros are sent even for a step that was negotiated away, as MTAs do. */
  #automaticMacros(name: TestStep): void {
    const macros = this.#options.macros[name];
    if (!macros) return;
    const symlists = this.#options.honourSymlists ? (this.#negotiated?.symlists ?? {}) : {};
    this.#libmilter.macros(name, macroValues(restrictToSymlist(macros, WIRE_STEPS[name], symlists)));
  }
}

/** Checks macros and writes their names as MTAs do. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function macroValues(macros: Macros): MacroValues {
  return new Map(
    Object.entries(macros).map(([name, value]) => [wireName(name), textOf(`the macro ${name}`, value)]),
  );
}

function ignored(step: string): MilterError {
  return new MilterError(
    'ERR_MILTER_PROTOCOL',
    `libmilter ignores ${step} in this state of the session, and an MTA would wait for the answer in vain: ` +
      'send the steps in the order of SMTP',
  );
}
