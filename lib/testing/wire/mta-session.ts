/** An MTA's side of the milter protocol, for tests of filters. */

import { MilterError } from '../../internal/errors.js';
import { checkOptions, type OptionNames } from '../../internal/validate.js';
import { Connection } from './connection.js';
import { bytesOf, type Text } from './frames.js';
import { type Macros, type MacrosByStep, macroParts, restrictToSymlist, stepByte } from './macros.js';
import { type Message, type MessageResult, sendMessage } from './message.js';
import {
  completeOffer,
  effectiveProtocol,
  encodeOffer,
  frameLimit,
  type Negotiated,
  type Offer,
  readAnswer,
} from './negotiation.js';
import { CHUNK_SIZE, Command, Protocol, STEPS, type Step, showByte } from './protocol.js';
import { EomCollector, type EomResponse, parseVerdict, type Response, unexpectedFrame } from './replies.js';
import { parseSocketSpec } from './socket-spec.js';

/** How a session is opened. */
export interface MtaSessionOptions extends Partial<Offer> {
  /** The protocol version to offer; 2 is an MTA of the year 2002. Default: 6. */
  readonly version?: number;
  /** The rights to offer, a sum of `Actions`. Default: all that the version knows, 0x1ff or 0x3f. */
  readonly actions?: number;
  /**
   * The protocol bits to offer, a sum of `Protocol`. Default: all that the version knows, 0x1fffff or 0x7f.
   */
  readonly protocol?: number;
  /**
   * Whether to negotiate at once; without it, call `negotiate()` or send frames of your own. Default: true.
   */
  readonly negotiate?: boolean;
  /** Macros sent ahead of each step by itself; cut down to the filter's symbol lists. Default: none. */
  readonly macros?: MacrosByStep;
  /** Bytes of body in a frame. Default: 65,535, as MTAs do. */
  readonly chunkSize?: number;
  /** Milliseconds that the filter has for each frame that is awaited, 0 for no limit. Default: 10,000. */
  readonly timeout?: number;
  /**
   * The largest payload accepted, in bytes. Default: what was negotiated, 65,535 if nothing was said of it.
   */
  readonly maxFrameSize?: number;
  /**
   * Whether to keep trying, for as long as `timeout`, while nobody listens at the socket yet. Default: false.
   */
  readonly retry?: boolean;
}

/** The SMTP client's address, as the MTA tells it. */
export type PeerAddress =
  | { readonly family: 'inet'; readonly address: string; readonly port: number }
  | { readonly family: 'inet6'; readonly address: string; readonly port: number }
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'unknown' };

const DEFAULT_TIMEOUT = 10_000;
/**
 * How long the second reply to a body that came with end of message is awaited (see Connection.dropEcho).
 * Over TCP Nagle's algorithm and a delayed ACK hold it back for 40 ms.
 */
const ECHO_MS = 200;

const SKIPPED: Promise<Response> = Promise.resolve({ verdict: 'skipped' });
const NOREPLY: Promise<Response> = Promise.resolve({ verdict: 'noreply' });
const OPTIONS: OptionNames<MtaSessionOptions> = {
  version: true,
  actions: true,
  protocol: true,
  negotiate: true,
  macros: true,
  chunkSize: true,
  timeout: true,
  maxFrameSize: true,
  retry: true,
};

const NOTHING: readonly Text[] = [];

/** SMFIA_* in mfdef.h, the port in network order, the address; for an unknown family the letter alone. */
function addressParts(peer: PeerAddress): Buffer {
  if (peer.family === 'unknown') return Buffer.from('U');
  const [letter, port, text] =
    peer.family === 'unix'
      ? ['L', 0, peer.path]
      : [peer.family === 'inet' ? '4' : '6', peer.port, peer.address];
  const head = Buffer.alloc(3);
  head.write(letter, 0, 'latin1');
  head.writeUInt16BE(port, 1);
  return Buffer.concat([head, bytesOf(text), Buffer.of(0)]);
}

/**
 * One connection of an MTA to a filter.
 *
 * Each step of the SMTP session is a method that sends it and resolves to the filter's verdict. What was
 * negotiated is kept as an MTA keeps it: a step that was negotiated away is not sent, and no reply is awaited
 * where none was agreed. Nothing else is checked, so steps can be sent in any order, also in wrong ones.
 *
 * Every wait ends: with `ERR_MILTER_TIMEOUT` when the filter is silent for longer than the option `timeout`,
 * with `ERR_MILTER_CLOSED` when it hangs up, with `ERR_MILTER_PROTOCOL` when it sends what it must not. Each
 * of them ends the session; later steps fail with the same error.
 *
 * @example
 * ```
 * await using session = await MtaSession.open('unix:/run/myfilter/sock');
 * await session.connect('mail.example', { family: 'inet', address: '192.0.2.1', port: 25 });
 * ```
 */
export class MtaSession implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #options: MtaSessionOptions;
  readonly #offer: Offer;
  readonly #chunkSize: number;
  #negotiated: Negotiated | undefined;
  /** The protocol bits that count; none before negotiation. */
  #protocol = 0;
  /** The filter has seen enough of this message's body. */
  #bodySkipped = false;
  #quitSent = false;
  /** What is sent ahead of each step, with the macros of the message that is on its way. */
  #macros: MacrosByStep;

  private constructor(connection: Connection, options: MtaSessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#offer = completeOffer(options);
    this.#chunkSize = options.chunkSize ?? CHUNK_SIZE;
    this.#macros = options.macros ?? {};
  }

  /**
   * Connects to a filter and negotiates.
   *
   * @param spec - the filter's socket as given to `runmilter`: `unix:/path`, `local:/path`, `/path`,
   *   `inet:port@host`, `inet:port`, `inet6:port@host` or `inet6:port`
   * @param options - see {@link MtaSessionOptions}
   * @returns the session, ready for `connect`
   * @throws MilterError `ERR_MILTER_BAD_SOCKET` or `ERR_MILTER_BAD_ARGUMENT` for arguments that make no
   *   sense, `ERR_MILTER_PROTOCOL` where the filter's answer is one that an MTA refuses; otherwise the
   *   system's own error, such as ENOENT and ECONNREFUSED
   */
  static async open(spec: string, options: MtaSessionOptions = {}): Promise<MtaSession> {
    checkOptions('MtaSession', options, OPTIONS);
    const target = parseSocketSpec(spec);
    const timeout = options.timeout ?? DEFAULT_TIMEOUT;
    const maxPayload = options.maxFrameSize ?? frameLimit(0);
    for (const [name, value] of Object.entries({
      timeout,
      maxFrameSize: maxPayload,
      chunkSize: options.chunkSize,
    })) {
      const least = name === 'chunkSize' ? 1 : 0;
      if (value === undefined || (Number.isSafeInteger(value) && value >= least && value < 2 ** 31)) continue;
      throw new MilterError(
        'ERR_MILTER_BAD_ARGUMENT',
        `${name} must be a whole number from ${least} on: ${value}`,
      );
    }
    const connection = await Connection.open(target, timeout, maxPayload, options.retry ?? false);
    const session = new MtaSession(connection, options);
    if (options.negotiate ?? true) await session.negotiate();
    return session;
  }

  /**
   * What the filter answered to the offer: version, actions, protocol and the macros it wants per stage.
   *
   * @throws MilterError `ERR_MILTER_PROTOCOL` before negotiation
   */
  get negotiated(): Negotiated {
    if (this.#negotiated !== undefined) return this.#negotiated;
    throw new MilterError('ERR_MILTER_PROTOCOL', 'nothing was negotiated yet');
  }

  /** Whether the connection has ended, whoever ended it. */
  get closed(): boolean {
    return this.#connection.failure !== undefined;
  }

  /**
   * Makes the offer and reads the answer (SMFIC_OPTNEG). `open` does it by itself unless told not to.
   *
   * @returns the filter's answer
   * @throws MilterError `ERR_MILTER_PROTOCOL` where Sendmail would refuse it: bits that were not offered, a
   *   version above the offered one, an answer cut short
   */
  negotiate(): Promise<Negotiated> {
    this.#connection.add(Command.OPTNEG, [encodeOffer(this.#offer)], false);
    return new Promise((resolve, reject) => {
      this.#connection.expect({
        what: 'its answer to the negotiation',
        take: (command, payload) => {
          if (command !== Command.OPTNEG) throw unexpectedFrame(command, 'the negotiation');
          const negotiated = readAnswer(payload, this.#offer);
          this.#negotiated = negotiated;
          this.#protocol = effectiveProtocol(negotiated);
          if (this.#options.maxFrameSize === undefined)
            this.#connection.maxPayload = frameLimit(this.#protocol);
          resolve(negotiated);
          return true;
        },
        fail: reject,
      });
    });
  }

  /**
   * Sends macros for a step (SMFIC_MACRO). They leave together with the step that follows.
   *
   * What is named here is sent whatever the filter's symbol lists say; only the macros of the option `macros`
   * are cut down to them.
   *
   * @param step - the step they are for; the filter sees them from it on
   * @param macros - values by name; `i` and `{i}`, `mail_addr` and `{mail_addr}` are the same
   */
  macros(step: Step, macros: Macros): void {
    this.#connection.add(Command.MACRO, [Buffer.concat([stepByte(step), ...this.#encoded(macros)])], false);
  }

  /**
   * Tells who connected (SMFIC_CONNECT, the filter's `connect`).
   *
   * @param hostname - the client's name, or its address in brackets
   * @param address - the client's address. Default: unknown, as for a local submission on a pipe
   */
  connect(hostname: Text, address: PeerAddress = { family: 'unknown' }): Promise<Response> {
    const payload = Buffer.concat([bytesOf(hostname), Buffer.of(0), addressParts(address)]);
    return this.#step('connect', [payload], false);
  }

  /**
   * Sends HELO or EHLO (SMFIC_HELO, the filter's `hello`).
   *
   * @param name - the name the client gave
   */
  helo(name: Text): Promise<Response> {
    return this.#step('helo', [name]);
  }

  /**
   * Sends MAIL FROM, the start of a message (SMFIC_MAIL, the filter's `envfrom`).
   *
   * @param address - as typed: `'<a@example.com>'`, `'<>'`
   * @param params - ESMTP parameters, one string each: `'SIZE=1000'`
   */
  mail(address: Text, ...params: Text[]): Promise<Response> {
    this.#bodySkipped = false;
    return this.#step('mail', [address, ...params]);
  }

  /**
   * Sends RCPT TO (SMFIC_RCPT, the filter's `envrcpt`).
   *
   * @param address - as typed: `'<b@example.com>'`
   * @param params - ESMTP parameters, one string each
   */
  rcpt(address: Text, ...params: Text[]): Promise<Response> {
    return this.#step('rcpt', [address, ...params]);
  }

  /** Sends DATA (SMFIC_DATA, the filter's `data`); a filter of version 3 or older does not get it. */
  data(): Promise<Response> {
    return this.#step('data', NOTHING);
  }

  /**
   * Sends an SMTP command that the MTA does not know (SMFIC_UNKNOWN, the filter's `unknown`); a filter of
   * version 2 does not get it.
   *
   * @param command - the command; Sendmail sends the whole line, Postfix its first word
   */
  unknown(command: Text): Promise<Response> {
    return this.#step('unknown', [command]);
  }

  /**
   * Sends a header (SMFIC_HEADER, the filter's `header`).
   *
   * @param name - the name, without colon
   * @param value - the value as the filter shall get it. MTAs leave out the space after the colon, unless
   *   HDR_LEADSPC was negotiated; folded lines are separated by LF
   */
  header(name: Text, value: Text): Promise<Response> {
    return this.#step('header', [name, value]);
  }

  /** Ends the headers (SMFIC_EOH, the filter's `eoh`). */
  eoh(): Promise<Response> {
    return this.#step('eoh', NOTHING);
  }

  /**
   * Sends body, in chunks of the option `chunkSize` (SMFIC_BODY, the filter's `body`).
   *
   * Stops at the first chunk whose verdict is other than `continue`. After `skip` nothing more of this
   * message's body is sent.
   *
   * @param data - bytes of the body, lines ended by CRLF; nothing is sent for none, as MTAs do
   * @returns the verdict of the last chunk that was sent, `skipped` where none was
   */
  async body(data: Text): Promise<Response> {
    const bytes = bytesOf(data);
    let response = await SKIPPED;
    for (let at = 0; at < bytes.length && !this.#bodySkipped; at += this.#chunkSize) {
      response = await this.#step('body', [bytes.subarray(at, at + this.#chunkSize)], false);
      if (response.verdict === 'skip') this.#bodySkipped = true;
      if (response.verdict !== 'continue' && response.verdict !== 'noreply') break;
    }
    return response;
  }

  /**
   * Ends the message (SMFIC_BODYEOB, the filter's `eom`) and gathers what the filter wants changed.
   *
   * @param final - a last piece of body that travels with the command; no MTA in use does this. Where the
   *   filter's `body` answers it with anything but CONTINUE, `eom` is not called and libmilter sends that
   *   verdict twice: the second one is dropped. Where no reply to body was negotiated as well, libmilter
   *   sends nothing at all
   * @returns the verdict, the modifications in the filter's order, and how often it reported progress
   */
  async eom(final: Text = ''): Promise<EomResponse> {
    const bytes = bytesOf(final);
    this.#bodySkipped = false;
    this.#automaticMacros('eom');
    this.#connection.add(Command.BODYEOB, [bytes], false);
    const response = await new Promise<EomResponse>((resolve, reject) => {
      const collector = new EomCollector();
      this.#connection.expect({
        what: 'the reply to eom',
        take: (command, payload) => {
          const outcome = collector.take(command, payload);
          if (outcome !== undefined) resolve(outcome);
          return outcome !== undefined;
        },
        fail: reject,
      });
    });
    if (bytes.length > 0 && response.verdict !== 'continue') await this.#connection.dropEcho(ECHO_MS);
    return response;
  }

  /**
   * Gives the message up (SMFIC_ABORT, the filter's `abort`). There is no reply; resolves when it is sent.
   */
  abort(): Promise<void> {
    this.#bodySkipped = false;
    return this.sendFrame(Command.ABORT);
  }

  /**
   * Ends the session (SMFIC_QUIT, the filter's `close`).
   *
   * Resolves when the filter has closed the connection, so its `close` has begun by then.
   *
   * @throws MilterError `ERR_MILTER_TIMEOUT` where the filter does not close it in time
   */
  async quit(): Promise<void> {
    this.#quitSent = true;
    await this.sendFrame(Command.QUIT);
    await this.#connection.closed();
  }

  /**
   * Ends the SMTP session, but keeps the connection for the next one (SMFIC_QUIT_NC, the filter's `close`).
   *
   * There is no reply and no second negotiation: `connect` follows. libmilter obeys only after an `eom` that
   * was answered with CONTINUE, or after `unknown`; elsewhere it ignores both this and the `connect` that
   * follows.
   */
  quitNewConnection(): Promise<void> {
    return this.sendFrame(Command.QUIT_NC);
  }

  /**
   * Sends a whole message as an MTA does: mail, rcpt for each recipient, data, headers, eoh, body, eom.
   *
   * Ends at the first verdict that ends the message for an MTA. A recipient that is refused does not, unless
   * none is left: then the message is aborted. `skip` on a header leaves out the other headers (as Postfix
   * does), on a body chunk the rest of the body.
   *
   * @param message - see {@link Message}
   * @returns where it ended, with which verdict, and what the filter wants changed
   */
  async message(message: Message): Promise<MessageResult> {
    const sessionMacros = this.#macros;
    if (message.macros !== undefined) this.#macros = this.#mergedMacros(message.macros);
    try {
      return await sendMessage(this, message, (this.#protocol & Protocol.HDR_LEADSPC) !== 0);
    } finally {
      this.#macros = sessionMacros;
    }
  }

  /**
   * Sends a frame, whatever it is. No reply is awaited: take it with {@link readFrame}.
   *
   * @param command - the command's letter or byte
   * @param payload - what follows it, as it shall stand on the wire: no NUL is added. Default: nothing
   * @returns resolves when the system has taken it
   */
  sendFrame(command: string | number, payload: Text = ''): Promise<void> {
    const letter = typeof command === 'number' ? command : command.charCodeAt(0);
    const bytes = bytesOf(payload);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length + 1, 0);
    head[4] = letter;
    return this.sendRaw(Buffer.concat([head, bytes]));
  }

  /**
   * Sends bytes as they are: garbage, half a frame, many frames.
   *
   * @param bytes - what to send
   * @returns resolves when the system has taken them
   */
  sendRaw(bytes: Uint8Array): Promise<void> {
    return this.#connection.write(bytes);
  }

  /**
   * The next frame from the filter that no step awaits.
   *
   * @returns its letter, or `0x..` for a byte that is none, and its payload
   * @throws MilterError `ERR_MILTER_TIMEOUT`, `ERR_MILTER_CLOSED`
   */
  async readFrame(): Promise<{ command: string; payload: Buffer }> {
    const { command, payload } = await this.#connection.nextFrame();
    return { command: showByte(command).replaceAll("'", ''), payload };
  }

  /**
   * Waits until the connection is closed, whoever closes it.
   *
   * @throws MilterError `ERR_MILTER_TIMEOUT`
   */
  waitForClose(): Promise<void> {
    this.#connection.flush();
    return this.#connection.closed();
  }

  /** Hangs up at once, without a word. Steps that wait fail with `ERR_MILTER_CLOSED`. */
  destroy(): void {
    this.#connection.destroy();
  }

  /**
   * Ends the session as an MTA does when it has no more use for it: QUIT, unless it was sent or a reply is
   * still awaited, then hangs up. Never fails; `await using` calls it.
   */
  async close(): Promise<void> {
    const idle = !this.#connection.waiting && !this.#quitSent && this.#negotiated !== undefined;
    if (!this.closed && idle) await this.quit().catch(() => undefined);
    this.destroy();
  }

  /** {@link close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Sends a step with its macros, unless it was negotiated away, and waits for the reply where there is one.
   */
  #step(step: Step, parts: readonly Text[], terminated = true): Promise<Response> {
    const { failure } = this.#connection;
    if (failure !== undefined) return Promise.reject(failure);
    const { command, off, noReply } = STEPS[step];
    this.#automaticMacros(step);
    if ((this.#protocol & off) !== 0) return SKIPPED;
    this.#connection.add(command, parts, terminated);
    if ((this.#protocol & noReply) !== 0) return this.#connection.drained()?.then(() => NOREPLY) ?? NOREPLY;
    return new Promise((resolve, reject) => {
      this.#connection.expect({
        what: `the reply to ${step}`,
        take: (answer, payload) => {
          const response = parseVerdict(answer, payload);
          if (response === undefined) throw unexpectedFrame(answer, step);
          resolve(response);
          return true;
        },
        fail: reject,
      });
    });
  }

  /** Macros go out also for a step that is negotiated away: MTAs do that. */
  #automaticMacros(step: Step): void {
    const macros = this.#macros[step];
    if (macros === undefined) return;
    const wanted = restrictToSymlist(macros, step, this.#negotiated?.symlists ?? {});
    if (Object.keys(wanted).length > 0) this.macros(step, wanted);
  }

  #encoded(macros: Macros): Uint8Array[] {
    return macroParts(macros).flatMap((part) => [bytesOf(part), Uint8Array.of(0)]);
  }

  #mergedMacros(over: MacrosByStep): MacrosByStep {
    const merged: Partial<Record<Step, Macros>> = { ...this.#macros };
    for (const [step, macros] of Object.entries(over) as [Step, Macros][]) {
      merged[step] = { ...merged[step], ...macros };
    }
    return merged;
  }
}
