/** The MTA's side of the protocol: what was negotiated, and the frames that each step sends and expects. */
import type { Connection } from './connection.js';
import type { Text } from './frames.js';
import { encodeMacros, type Macros, type MacrosByStep, mergeMacros, restrictToSymlist } from './macros.js';
import type { NormalisedMtaSessionOptions } from './mta-session-options.js';
import { effectiveProtocol, encodeOffer, frameLimit, type Negotiated, readAnswer } from './negotiation.js';
import { Command, STEPS, type Step } from './protocol.js';
import { EomCollector, type EomResponse, parseVerdict, type Response, unexpectedFrame } from './replies.js';

const SKIPPED: Promise<Response> = Promise.resolve({ verdict: 'skipped' });
const NOREPLY: Promise<Response> = Promise.resolve({ verdict: 'noreply' });

export class ProtocolClient {
  readonly #connection: Connection;
  readonly #options: NormalisedMtaSessionOptions;
  #negotiated: Negotiated | undefined;
  /** The protocol bits in effect; none before negotiation. */
  #protocol = 0;
  /** Sent ahead of each step: the session's macros, and those of the message that is being sent. */
  #macros: MacrosByStep;

  constructor(connection: Connection, options: NormalisedMtaSessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#macros = options.macros;
  }

  /** The filter's answer to the offer; undefined before negotiation. */
  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  /** Whether a protocol bit is in effect. */
  has(bit: number): boolean {
    return (this.#protocol & bit) !== 0;
  }

  negotiate(): Promise<Negotiated> {
    this.#connection.add(Command.OPTNEG, [encodeOffer(this.#options.offer)], false);
    return this.#expect('its answer to the negotiation', (command, payload) => {
      if (command !== Command.OPTNEG) throw unexpectedFrame(command, 'the negotiation');
      const negotiated = readAnswer(payload, this.#options.offer);
      this.#negotiated = negotiated;
      this.#protocol = effectiveProtocol(negotiated);
      if (this.#options.maxFrameSize === undefined) this.#connection.maxPayload = frameLimit(this.#protocol);
      return negotiated;
    });
  }

  /** Sends macros for a step, whatever the filter's symbol lists say. */
  macros(step: Step, macros: Macros): void {
    this.#connection.add(Command.MACRO, [encodeMacros(step, macros)], false);
  }

  /** Runs `send` with these macros added to the session's. */
  async withMacros<T>(macros: MacrosByStep | undefined, send: () => Promise<T>): Promise<T> {
    const sessionMacros = this.#macros;
    if (macros !== undefined) this.#macros = mergeMacros(sessionMacros, macros);
    try {
      return await send();
    } finally {
      this.#macros = sessionMacros;
    }
  }

  /** Sends a step with its macros, unless it was negotiated away, and waits for the reply if there is to be one. */
  step(step: Step, parts: readonly Text[], terminated = true): Promise<Response> {
    const { failure } = this.#connection;
    if (failure !== undefined) return Promise.reject(failure);
    const { command, off, noReply } = STEPS[step];
    this.#automaticMacros(step);
    if (this.has(off)) return SKIPPED;
    this.#connection.add(command, parts, terminated);
    if (this.has(noReply)) return this.#connection.drained()?.then(() => NOREPLY) ?? NOREPLY;
    return this.#expect(`the reply to ${step}`, (answer, payload) => {
      const response = parseVerdict(answer, payload);
      if (response === undefined) throw unexpectedFrame(answer, step);
      return response;
    });
  }

  /** Ends the message and collects the modifications that precede the verdict. */
  eom(finalChunk: Uint8Array): Promise<EomResponse> {
    this.#automaticMacros('eom');
    this.#connection.add(Command.BODYEOB, [finalChunk], false);
    const collector = new EomCollector();
    return this.#expect('the reply to eom', (command, payload) => collector.take(command, payload));
  }

  /** Waits for frames until `read` returns what they mean. */
  #expect<T>(what: string, read: (command: number, payload: Buffer) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#connection.expect({
        what,
        take: (command, payload) => {
          const result = read(command, payload);
          if (result === undefined) return false;
          resolve(result);
          return true;
        },
        fail: reject,
      });
    });
  }

  /** Macros are sent even for a step that was negotiated away, as MTAs do. */
  #automaticMacros(step: Step): void {
    const macros = this.#macros[step];
    if (macros === undefined) return;
    const wanted = restrictToSymlist(macros, step, this.#negotiated?.symlists ?? {});
    if (Object.keys(wanted).length > 0) this.macros(step, wanted);
  }
}
