/** A filter and its MTA in one process, for tests of filters: no libmilter, no socket. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { types } from 'node:util';
import type { AnyFilter } from '../../filter/base.js';
import { checkFactory, type Factory, filterCallbacks, makeFilter } from '../../filter/dispatch.js';
import { badArgument, MilterError } from '../../internal/errors.js';
import { logObserver } from '../../log/filter-log.js';
import type { Text } from '../wire/frames.js';
import { bytesOf } from '../wire/frames.js';
import type { Macros } from '../wire/macros.js';
import type { Envelope } from '../wire/message.js';
import type { Negotiated } from '../wire/negotiation.js';
import type { PeerAddress } from '../wire/peer-address.js';
import type { EomResponse, Modification, Reply, Response } from '../wire/replies.js';
import { peerArguments, textOf, withoutSpace } from './arguments.js';
import { completeEnvelope, type FeedEnvelope, type FeedResult, feed, type Greetings, greet } from './feed.js';
import { Libmilter } from './libmilter.js';
import { type MessageContent, type MessageSource, readSource, splitMessage } from './message-source.js';
import { type HandlerError, RecordingExceptions } from './recording-exceptions.js';
import { macroValues, SimulatedMta } from './simulated-mta.js';
import { StepQueue } from './step-queue.js';
import type { TestStep } from './steps.js';
import {
  type NormalisedTestCtxOptions,
  normaliseTestCtxOptions,
  type TestCtxOptions,
} from './test-ctx-options.js';
import { TestMessage } from './test-message.js';

/**
 * One SMTP session with a filter, without libmilter, a socket or an MTA; pymilter's TestCtx.
 *
 * The filter runs as in production: the same negotiation, checks, order of calls, deferral and exception policy. Only
 * libmilter and the addon are simulated. Each step is a method that resolves to the verdict that the MTA would get; steps
 * that were negotiated away are skipped. `feedFile` and `feedMessage` run a whole message. Contexts share nothing but the
 * settings of the process: setFlags and setExceptionPolicy.
 *
 * @example
 * ```
 * const ctx = new TestCtx(NoLottery);
 * const { verdict, message } = await ctx.feedFile('test/lottery.eml');
 * await ctx.close();
 * ```
 */
export class TestCtx implements AsyncDisposable {
  readonly #options: NormalisedTestCtxOptions;
  readonly #exceptions = new RecordingExceptions();
  readonly #mta: SimulatedMta;
  readonly #queue = new StepQueue();
  #greetings: Greetings = {};
  #filter: AnyFilter | null = null;
  /** The filter has answered SKIP to a chunk of this message's body. */
  #bodySkipped = false;
  #message: TestMessage | null = null;
  /** The message that is being fed: the MTA has all of it, whichever steps the filter wants to see. */
  #fed: MessageContent | null = null;

  /**
   * @param filter the filter's class, or a function that makes a filter object
   * @param options see {@link TestCtxOptions}
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an unknown or invalid option, and for a class that setFactory refuses
   */
  constructor(filter: Factory, options: TestCtxOptions = {}) {
    if (typeof filter !== 'function') {
      throw badArgument('TestCtx needs a class that extends Base, or a function that makes an object of one');
    }
    checkFactory(filter);
    this.#options = normaliseTestCtxOptions(options);
    this.#exceptions.setName(this.#options.name);
    this.#exceptions.setPolicy(this.#options.exceptionPolicy);
    this.#exceptions.setHook(this.#options.errorHook);
    const make = (): AnyFilter => {
      this.#filter = makeFilter(filter);
      return this.#filter;
    };
    const { logger } = this.#options;
    this.#exceptions.setLogger(logger);
    const dependencies = {
      callbacks: filterCallbacks(() => make),
      exceptions: this.#exceptions,
      options: this.#options.session,
      ...(logger ? { observation: { logger, observer: logObserver(logger), prefix: '' } } : {}),
    };
    this.#mta = new SimulatedMta(new Libmilter(dependencies, this.#options.states), this.#options);
  }

  // --- what a test looks at

  /** The filter object; null before the first step. */
  get filter(): AnyFilter | null {
    return this.#filter;
  }

  /** What was negotiated. @throws MilterError ERR_MILTER_PROTOCOL before negotiation */
  get negotiated(): Negotiated {
    if (this.#mta.negotiated) return this.#mta.negotiated;
    throw new MilterError('ERR_MILTER_PROTOCOL', 'nothing was negotiated yet: await negotiate() or a step');
  }

  /** The message that was begun last; null before envfrom. */
  get message(): TestMessage | null {
    return this.#message;
  }

  /** The reply that was sent last with a REJECT or TEMPFAIL; null if the MTA would send its own text. */
  get reply(): Reply | null {
    return this.#mta.reply;
  }

  /** The errors in handlers so far, to which the exception policy was applied. */
  get errors(): readonly HandlerError[] {
    return this.#exceptions.errors;
  }

  // --- steps

  /**
   * Negotiates; otherwise the first step does so.
   * @throws MilterError ERR_MILTER_CLOSED if libmilter, ERR_MILTER_PROTOCOL if the MTA would close the connection
   */
  async negotiate(): Promise<Negotiated> {
    await this.#queue.step(() => this.#mta.begin());
    return this.negotiated;
  }

  /**
   * Sends macros for a step, from which on the filter sees them, whatever its symbol lists say.
   * @param macros values by name; `i` and `{i}`, `mail_addr` and `{mail_addr}` are the same
   */
  macros(step: TestStep, macros: Macros): Promise<void> {
    const values = macroValues(macros);
    return this.#queue.step(() => this.#mta.macros(step, values));
  }

  /** A client connects: the handler `connect`. Defaults: the options `hostname` and `hostaddr`. */
  async connect(
    hostname: Text = this.#options.hostname,
    hostaddr: PeerAddress = this.#options.hostaddr,
  ): Promise<Response> {
    const [numbers, text] = peerArguments(hostaddr);
    const name = textOf('connect: hostname', hostname);
    const response = await this.#step('connect', ...numbers, name, ...text);
    this.#greetings.connect = response;
    return response;
  }

  /** HELO or EHLO: the handler `hello`. Default: the option `helo`. */
  async helo(name: Text = this.#options.helo): Promise<Response> {
    const response = await this.#step('helo', textOf('helo: name', name));
    this.#greetings.helo = response;
    return response;
  }

  /** MAIL FROM, the start of a message: the handler `envfrom`. `params` are ESMTP parameters, one string each. */
  async envfrom(address: Text, ...params: Text[]): Promise<Response> {
    const sender = textsOf('envfrom', address, params);
    return this.#queue.step(async () => {
      this.#bodySkipped = false;
      await this.#mta.begin();
      this.#message = this.#newMessage(sender);
      return this.#mta.step('envfrom', ...sender);
    });
  }

  /** RCPT TO: the handler `envrcpt`. */
  async envrcpt(address: Text, ...params: Text[]): Promise<Response> {
    const [recipient, ...more] = textsOf('envrcpt', address, params);
    const response = await this.#step('envrcpt', recipient, ...more);
    if (response.verdict !== 'reject' && response.verdict !== 'tempfail') {
      this.#message?.recipients.push({ address: recipient, params: more });
    }
    return response;
  }

  /** DATA: the handler `data`. */
  data(): Promise<Response> {
    return this.#step('data');
  }

  /**
   * A header: the handler `header`.
   * @param value as the filter is to receive it: without the space after the colon, unless HDR_LEADSPC was negotiated;
   *   folded lines are separated by LF
   */
  async header(name: Text, value: Text): Promise<Response> {
    const [field, text] = [textOf('header: name', name), textOf('header: value', value)];
    if (field === '') throw badArgument('header: the name must not be empty');
    const response = await this.#step('header', field, text);
    if (!this.#fed) this.#message?.receive(field, this.#mta.leadingSpace ? withoutSpace(text) : text);
    return response;
  }

  /** The end of the headers: the handler `eoh`. */
  eoh(): Promise<Response> {
    return this.#step('eoh');
  }

  /**
   * A part of the body, in chunks of `chunkSize` bytes: the handler `body`. Stops at the first chunk whose verdict is not
   * `continue`; after `skip`, the rest of this message's body is not sent.
   * @param data lines ended by CRLF; an empty part is not sent, as MTAs do
   * @returns the verdict on the last chunk that was sent, `skipped` if none was
   */
  async body(data: Text): Promise<Response> {
    const bytes = Buffer.from(bytesOf(data));
    const { chunkSize } = this.#options;
    const message = this.#message;
    if (message && !this.#fed) message.body = Buffer.concat([message.body, bytes]);
    let response: Response = { verdict: 'skipped' };
    for (let at = 0; at < bytes.length && !this.#bodySkipped; at += chunkSize) {
      response = await this.#step('body', Buffer.from(bytes.subarray(at, at + chunkSize)));
      if (response.verdict === 'skip') this.#bodySkipped = true;
      if (response.verdict !== 'continue' && response.verdict !== 'noreply') break;
    }
    return response;
  }

  /** The end of the message: the handler `eom`, whose modifications are made to `message` and listed in the outcome. */
  eom(): Promise<EomResponse> {
    return this.#queue.step(async () => {
      this.#bodySkipped = false;
      const response = await this.#mta.eom();
      for (const modification of response.modifications) this.#apply(modification);
      return response;
    });
  }

  /** A command that the MTA does not know: the handler `unknown`. */
  async unknown(command: Text): Promise<Response> {
    return this.#step('unknown', textOf('unknown: command', command));
  }

  /** The message is aborted: the handler `abort`. Resolves when it is done. */
  abort(): Promise<void> {
    return this.#queue.step(() => {
      this.#bodySkipped = false;
      return this.#mta.abort();
    });
  }

  /**
   * The session ends but the MTA keeps the connection for the next one, which begins with `connect` and is not negotiated:
   * the handler `close`. libmilter obeys after the end of a message or `unknown` only.
   * @throws MilterError ERR_MILTER_PROTOCOL if libmilter ignores it
   */
  quitNewConnection(): Promise<void> {
    return this.#queue.step(async () => {
      await this.#mta.quitNewConnection();
      this.#greetings = {};
    });
  }

  /**
   * The session ends, after the steps that were called before: the handler `close`, preceded by `abort` within a message.
   * Resolves when it is done; never fails.
   */
  close(): Promise<void> {
    return this.#queue.close(() => this.#mta.quit());
  }

  /** {@link close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- whole messages

  /** As {@link feedMessage}, from a file. */
  feedFile(path: string | URL, envelope: FeedEnvelope = {}): Promise<FeedResult> {
    return this.#queue.message(() => this.#feed(createReadStream(path), completeEnvelope(envelope)));
  }

  /**
   * Runs a whole message: connect and helo unless the session has had them, envfrom, envrcpt for each recipient, data,
   * headers, eoh, body, eom. The message is split as an MTA splits it, see docs/testing.md.
   *
   * Stops at the first verdict that ends the message. A refused recipient does not end it while another one is accepted;
   * if all are refused, the message is aborted. If connect or helo ends the session, no message is sent.
   *
   * @param source the message: all of it, or a stream; a string is sent as UTF-8
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT if it has more bytes than the option `maxMessageSize`
   */
  feedMessage(source: MessageSource, envelope: FeedEnvelope = {}): Promise<FeedResult> {
    // A stream may fail before its turn: the error comes again when it is read.
    if (source instanceof Readable) source.on('error', () => {});
    return this.#queue.message(() => this.#feed(source, completeEnvelope(envelope)));
  }

  // ---

  async #feed(source: MessageSource, envelope: Required<FeedEnvelope>): Promise<FeedResult> {
    const content = splitMessage(await readSource(source, this.#options.maxMessageSize));
    const ended = await greet(this, this.#greetings);
    if (ended) return { ...ended, message: this.#newMessage(senderOf(envelope.sender)) };
    this.#fed = content;
    try {
      const result = await feed(this, envelope, content, this.#mta.leadingSpace);
      return { ...result, message: this.#message as TestMessage };
    } finally {
      this.#fed = null;
    }
  }

  #step(name: TestStep, ...args: readonly unknown[]): Promise<Response> {
    return this.#queue.step(() => this.#mta.step(name, ...args));
  }

  /** A message as the MTA has it at MAIL FROM: a message that is fed is complete. */
  #newMessage([sender, ...params]: readonly [string, ...string[]]): TestMessage {
    const message = new TestMessage(this.#options.headerRules, sender, params);
    if (this.#fed) {
      for (const [name, value] of this.#fed.headers) message.receive(name, withoutSpace(value));
      message.body = this.#fed.body;
    }
    return message;
  }

  #apply(modification: Modification): void {
    const hasSpace = this.#mta.leadingSpace && 'value' in modification;
    this.#message?.apply(
      hasSpace ? { ...modification, value: withoutSpace(modification.value) } : modification,
    );
  }
}

/** An address and its ESMTP parameters as a filter receives them. */
function textsOf(step: string, address: Text, params: readonly Text[]): [string, ...string[]] {
  return [textOf(step, address), ...params.map((param) => textOf(step, param))];
}

function senderOf(envelope: Envelope): [string, ...string[]] {
  const [address, ...params] =
    typeof envelope === 'string' || types.isUint8Array(envelope) ? [envelope] : envelope;
  return textsOf('sender', address, params);
}
