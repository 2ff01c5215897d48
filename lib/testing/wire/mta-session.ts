/** An MTA's connection to a filter, for tests of filters. */

import { MilterError } from '../../internal/errors.js';
import { connectToFilter } from './connect.js';
import { Connection } from './connection.js';
import { bytesOf, encodeFrame, type Text } from './frames.js';
import type { Macros } from './macros.js';
import { type Message, type MessageResult, sendMessage } from './message.js';
import { type MtaSessionOptions, normaliseMtaSessionOptions } from './mta-session-options.js';
import { frameLimit, type Negotiated } from './negotiation.js';
import { encodePeerAddress, type PeerAddress } from './peer-address.js';
import { Command, Protocol, type Step, showByte } from './protocol.js';
import { ProtocolClient } from './protocol-client.js';
import type { EomResponse, Response } from './replies.js';
import { parseSocketSpec } from './socket-spec.js';

/**
 * How long to wait for the second reply to a body that came with the end of the message (see Connection.dropEcho).
 * Over TCP, Nagle's algorithm and a delayed ACK hold it back for 40 ms.
 */
const ECHO_MS = 200;

const NO_ARGUMENTS: readonly Text[] = [];

/**
 * One connection of an MTA to a filter.
 *
 * Each step of the SMTP session is a method that sends it and resolves to the filter's verdict. The session
 * honours what was negotiated, as an MTA does: a step that was negotiated away is not sent, and a step without
 * reply does not wait for one. Nothing else is checked, so steps can be sent in any order, including wrong ones.
 *
 * No wait is endless. It fails with `ERR_MILTER_TIMEOUT` if the filter is silent for longer than the option
 * `timeout`, with `ERR_MILTER_CLOSED` if it hangs up, and with `ERR_MILTER_PROTOCOL` if it sends what it must
 * not. Each of these errors ends the session; later steps fail with the same one.
 *
 * @example
 * ```
 * await using session = await MtaSession.open('unix:/run/myfilter/sock');
 * await session.connect('mail.example', { family: 'inet', address: '192.0.2.1', port: 25 });
 * ```
 */
export class MtaSession implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #client: ProtocolClient;
  readonly #chunkSize: number;
  /** The filter has answered SKIP to a chunk of this message's body. */
  #bodySkipped = false;
  #quitSent = false;

  private constructor(connection: Connection, client: ProtocolClient, chunkSize: number) {
    this.#connection = connection;
    this.#client = client;
    this.#chunkSize = chunkSize;
  }

  /**
   * Connects to a filter and negotiates.
   *
   * @param spec - the filter's socket as given to `runmilter`: `unix:/path`, `local:/path`, `/path`,
   *   `inet:port@host`, `inet:port`, `inet6:port@host` or `inet6:port`
   * @param options - see {@link MtaSessionOptions}
   * @returns the session, ready for `connect`
   * @throws MilterError `ERR_MILTER_BAD_SOCKET` or `ERR_MILTER_BAD_ARGUMENT` for invalid arguments,
   *   `ERR_MILTER_PROTOCOL` if an MTA would refuse the filter's answer; otherwise the system's own error,
   *   such as ENOENT or ECONNREFUSED
   */
  static async open(spec: string, options: MtaSessionOptions = {}): Promise<MtaSession> {
    const normalised = normaliseMtaSessionOptions(options);
    const { timeout, retry, maxFrameSize = frameLimit(0) } = normalised;
    const socket = await connectToFilter(parseSocketSpec(spec), timeout, retry);
    const connection = new Connection(socket, timeout, maxFrameSize);
    const client = new ProtocolClient(connection, normalised);
    if (normalised.negotiate) await client.negotiate();
    return new MtaSession(connection, client, normalised.chunkSize);
  }

  /**
   * The filter's answer to the offer: version, actions, protocol and the macros it wants per stage.
   *
   * @throws MilterError `ERR_MILTER_PROTOCOL` before negotiation
   */
  get negotiated(): Negotiated {
    const { negotiated } = this.#client;
    if (negotiated === undefined) throw new MilterError('ERR_MILTER_PROTOCOL', 'nothing was negotiated yet');
    return negotiated;
  }

  /** Whether the connection has ended, whichever side ended it. */
  get closed(): boolean {
    return this.#connection.failure !== undefined;
  }

  /**
   * Makes the offer and reads the answer (SMFIC_OPTNEG). `open` calls it unless the option `negotiate` is
   * false.
   *
   * @returns the filter's answer
   * @throws MilterError `ERR_MILTER_PROTOCOL` if Sendmail would refuse the answer: bits that were not offered, a
   *   version above the offered one, a truncated answer
   */
  negotiate(): Promise<Negotiated> {
    return this.#client.negotiate();
  }

  /**
   * Sends macros for a step (SMFIC_MACRO). They leave together with the step that follows.
   *
   * These macros are sent whatever the filter's symbol lists say; only the macros of the option `macros` are
   * reduced to them.
   *
   * @param step - the step they belong to, from which on the filter sees them
   * @param macros - values by name; `i` and `{i}`, `mail_addr` and `{mail_addr}` are the same
   */
  macros(step: Step, macros: Macros): void {
    this.#client.macros(step, macros);
  }

  /**
   * Reports the SMTP client (SMFIC_CONNECT, the filter's `connect`).
   *
   * @param hostname - the client's name, or its address in brackets
   * @param address - the client's address. Default: unknown, as for local submission through a pipe
   */
  connect(hostname: Text, address: PeerAddress = { family: 'unknown' }): Promise<Response> {
    const payload = Buffer.concat([bytesOf(hostname), Buffer.of(0), encodePeerAddress(address)]);
    return this.#client.step('connect', [payload], false);
  }

  /**
   * Sends HELO or EHLO (SMFIC_HELO, the filter's `hello`).
   *
   * @param name - the name the client gave
   */
  helo(name: Text): Promise<Response> {
    return this.#client.step('helo', [name]);
  }

  /**
   * Sends MAIL FROM, the start of a message (SMFIC_MAIL, the filter's `envfrom`).
   *
   * @param address - as typed: `'<a@example.com>'`, `'<>'`
   * @param params - ESMTP parameters, one string each: `'SIZE=1000'`
   */
  mail(address: Text, ...params: Text[]): Promise<Response> {
    this.#bodySkipped = false;
    return this.#client.step('mail', [address, ...params]);
  }

  /**
   * Sends RCPT TO (SMFIC_RCPT, the filter's `envrcpt`).
   *
   * @param address - as typed: `'<b@example.com>'`
   * @param params - ESMTP parameters, one string each
   */
  rcpt(address: Text, ...params: Text[]): Promise<Response> {
    return this.#client.step('rcpt', [address, ...params]);
  }

  /** Sends DATA (SMFIC_DATA, the filter's `data`); a filter of version 3 or older does not get it. */
  data(): Promise<Response> {
    return this.#client.step('data', NO_ARGUMENTS);
  }

  /**
   * Sends an SMTP command that the MTA does not know (SMFIC_UNKNOWN, the filter's `unknown`); a filter of
   * version 2 does not get it.
   *
   * @param command - the command; Sendmail sends the whole line, Postfix its first word
   */
  unknown(command: Text): Promise<Response> {
    return this.#client.step('unknown', [command]);
  }

  /**
   * Sends a header (SMFIC_HEADER, the filter's `header`).
   *
   * @param name - the name, without colon
   * @param value - the value as the filter is to receive it. MTAs leave out the space after the colon, unless
   *   HDR_LEADSPC was negotiated; folded lines are separated by LF
   */
  header(name: Text, value: Text): Promise<Response> {
    return this.#client.step('header', [name, value]);
  }

  /** Ends the headers (SMFIC_EOH, the filter's `eoh`). */
  eoh(): Promise<Response> {
    return this.#client.step('eoh', NO_ARGUMENTS);
  }

  /**
   * Sends a part of the body, in chunks of `chunkSize` bytes (SMFIC_BODY, the filter's `body`).
   *
   * Stops at the first chunk whose verdict is not `continue`. After `skip`, the rest of this message's body is
   * not sent.
   *
   * @param data - bytes of the body, lines ended by CRLF; an empty part is not sent, as MTAs do
   * @returns the verdict on the last chunk that was sent, `skipped` if none was
   */
  async body(data: Text): Promise<Response> {
    const bytes = bytesOf(data);
    let response: Response = { verdict: 'skipped' };
    for (let at = 0; at < bytes.length && !this.#bodySkipped; at += this.#chunkSize) {
      response = await this.#client.step('body', [bytes.subarray(at, at + this.#chunkSize)], false);
      if (response.verdict === 'skip') this.#bodySkipped = true;
      if (response.verdict !== 'continue' && response.verdict !== 'noreply') break;
    }
    return response;
  }

  /**
   * Ends the message (SMFIC_BODYEOB, the filter's `eom`) and collects the filter's modifications.
   *
   * @param final - a last piece of the body that travels with the command; no MTA in use does this. If the
   *   filter's `body` returns anything but CONTINUE for it, libmilter does not call `eom` and sends that verdict
   *   twice; the second one is dropped. If no reply to body chunks was negotiated, libmilter sends nothing at all
   * @returns the verdict, the modifications in the filter's order, and how often it reported progress
   */
  async eom(final: Text = ''): Promise<EomResponse> {
    const bytes = bytesOf(final);
    this.#bodySkipped = false;
    const response = await this.#client.eom(bytes);
    if (bytes.length > 0 && response.verdict !== 'continue') await this.#connection.dropEcho(ECHO_MS);
    return response;
  }

  /**
   * Aborts the message (SMFIC_ABORT, the filter's `abort`). There is no reply; resolves when it is sent.
   */
  abort(): Promise<void> {
    this.#bodySkipped = false;
    return this.sendFrame(Command.ABORT);
  }

  /**
   * Ends the session (SMFIC_QUIT, the filter's `close`).
   *
   * Resolves when the filter has closed the connection; its `close` has begun by then.
   *
   * @throws MilterError `ERR_MILTER_TIMEOUT` if the filter does not close it in time
   */
  async quit(): Promise<void> {
    this.#quitSent = true;
    await this.sendFrame(Command.QUIT);
    await this.#connection.closed();
  }

  /**
   * Ends the SMTP session but keeps the connection for the next one (SMFIC_QUIT_NC, the filter's `close`).
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
   * Stops at the first verdict that ends the message for an MTA. A refused recipient does not end it while
   * another one is accepted; if all are refused, the message is aborted. After `skip` to a header the other
   * headers are not sent (as Postfix does), after `skip` to a body chunk the rest of the body is not.
   *
   * @param message - see {@link Message}
   * @returns the step where it ended, its verdict, and the filter's modifications
   */
  message(message: Message): Promise<MessageResult> {
    return this.#client.withMacros(message.macros, () =>
      sendMessage(this, message, this.#client.has(Protocol.HDR_LEADSPC)),
    );
  }

  /**
   * Sends any frame, valid or not. Does not wait for a reply: read it with {@link readFrame}.
   *
   * @param command - the command's letter or byte
   * @param payload - the bytes that follow it, as they are: no NUL is added. Default: none
   * @returns resolves when the kernel has taken it
   */
  sendFrame(command: string | number, payload: Text = ''): Promise<void> {
    const byte = typeof command === 'number' ? command : command.charCodeAt(0);
    return this.sendRaw(encodeFrame(byte, payload));
  }

  /**
   * Sends bytes as they are: garbage, part of a frame, many frames.
   *
   * @param bytes - what to send
   * @returns resolves when the kernel has taken them
   */
  sendRaw(bytes: Uint8Array): Promise<void> {
    return this.#connection.write(bytes);
  }

  /**
   * The next frame from the filter that no step waits for.
   *
   * @returns its letter (`0x..` for an unprintable byte) and its payload
   * @throws MilterError `ERR_MILTER_TIMEOUT`, `ERR_MILTER_CLOSED`
   */
  async readFrame(): Promise<{ command: string; payload: Buffer }> {
    const { command, payload } = await this.#connection.nextFrame();
    return { command: showByte(command).replaceAll("'", ''), payload };
  }

  /**
   * Waits until the connection is closed, whichever side closes it.
   *
   * @throws MilterError `ERR_MILTER_TIMEOUT`
   */
  waitForClose(): Promise<void> {
    this.#connection.flush();
    return this.#connection.closed();
  }

  /** Hangs up immediately, without QUIT. Waiting steps fail with `ERR_MILTER_CLOSED`. */
  destroy(): void {
    this.#connection.destroy();
  }

  /**
   * Ends the session as an MTA does when it no longer needs it: sends QUIT, unless it was sent or a reply is
   * still due, then hangs up. Never fails; `await using` calls it.
   */
  async close(): Promise<void> {
    const idle = !this.#connection.waiting && !this.#quitSent && this.#client.negotiated !== undefined;
    if (!this.closed && idle) await this.quit().catch(() => undefined);
    this.destroy();
  }

  /** {@link close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
