/** A filter and its MTA in one process, for tests of filters: no libmilter, no socket. */

import { createReadStream } from 'node:fs';
import { SocketAddress } from 'node:net';
import { types } from 'node:util';
import type { Base } from '../../filter/base.js';
import { checkFactory, type Factory, filterCallbacks, makeFilter } from '../../filter/dispatch.js';
import { decodeBytes } from '../../internal/bytes.js';
import { MilterError } from '../../internal/errors.js';
import { checkOptions, type OptionNames } from '../../internal/validate.js';
import { normaliseMainOptions } from '../../runtime/options.js';
import { runtime } from '../../runtime/runtime.js';
import { type ErrorHook, type ExceptionPolicy, Exceptions } from '../../session/exception-policy.js';
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from '../../session/hostaddr.js';
import { bytesOf, type Text } from '../wire/frames.js';
import { type Macros, restrictToSymlist, wireName } from '../wire/macros.js';
import { type Envelope, sendMessage } from '../wire/message.js';
import { completeOffer, effectiveProtocol, type Negotiated, type Offer } from '../wire/negotiation.js';
import type { PeerAddress } from '../wire/peer-address.js';
import { CHUNK_SIZE, Protocol, STEPS, type Step } from '../wire/protocol.js';
import type { EomResponse, Modification, Reply, Response, Verdict } from '../wire/replies.js';
import type { SharedDependencies } from './bridge.js';
import { Libmilter, type Outcome, type TestStep } from './libmilter.js';
import { StateTable } from './libmilter-states.js';
import { type MessageContent, type MessageSource, readSource, splitMessage } from './message-source.js';
import { type HeaderRules, TestMessage } from './test-message.js';

/** Macros by the step they are sent ahead of. */
export type MacrosByTestStep = Readonly<Partial<Record<TestStep, Macros>>>;

/** How a {@link TestCtx} plays MTA and libmilter. */
export interface TestCtxOptions extends Partial<Offer> {
  /** The protocol version that the MTA offers. Default: 6. */
  readonly version?: number;
  /** The rights it offers, a sum of `Actions`. Default: all that the version knows. */
  readonly actions?: number;
  /** The protocol bits it offers, a sum of `Protocol`. Default: all that the version knows. */
  readonly protocol?: number;
  /** Whether the MTA negotiates. Default: true. */
  readonly negotiate?: boolean;
  /** Macros sent ahead of each step. Default: none. */
  readonly macros?: MacrosByTestStep;
  /** Whether `macros` are cut down to what the filter asked for with setsymlist. Default: true. */
  readonly honourSymlists?: boolean;
  /** The SMTP client's host name. Default: `localhost`. */
  readonly hostname?: string;
  /** The SMTP client's address. Default: 127.0.0.1, port 25000. */
  readonly hostaddr?: PeerAddress;
  /** The name that the client gives in HELO. Default: `localhost`. */
  readonly helo?: string;
  /** The filter's name, as runmilter gets it. Default: `milter`. */
  readonly name?: string;
  /** As runmilter's option, in milliseconds; 0 for ever. Default: 300,000. */
  readonly handlerTimeout?: number;
  /** As runmilter's option, in milliseconds; 0 for none. Default: 30,000. */
  readonly progressInterval?: number;
  /** As runmilter's option. Default: false. */
  readonly immediate?: boolean;
  /** As for setExceptionPolicy. Default: what that has been told last, at first TEMPFAIL. */
  readonly exceptionPolicy?: ExceptionPolicy;
  /** Told of errors in handlers, in place of stderr; `errors` has them in either case. */
  readonly errorHook?: ErrorHook;
  /** Whose way of changing headers `message.headers` follows. Default: `postfix`. */
  readonly headerRules?: HeaderRules;
  /** Bytes of body in a chunk. Default: 65,535, as MTAs do. */
  readonly chunkSize?: number;
  /** Bytes that a message given to `feedFile` and `feedMessage` may have. Default: 256 MiB. */
  readonly maxMessageSize?: number;
  /** @internal The table of states that sessions of one process share. */
  readonly states?: StateTable;
}

const TEST_CTX_OPTIONS: OptionNames<TestCtxOptions> = {
  version: true,
  actions: true,
  protocol: true,
  negotiate: true,
  macros: true,
  honourSymlists: true,
  hostname: true,
  hostaddr: true,
  helo: true,
  name: true,
  handlerTimeout: true,
  progressInterval: true,
  immediate: true,
  exceptionPolicy: true,
  errorHook: true,
  headerRules: true,
  chunkSize: true,
  maxMessageSize: true,
  states: true,
};

/** The envelope of a message that is fed. */
export interface FeedEnvelope {
  /** MAIL FROM, with its ESMTP parameters where it is a list. Default: `<sender@example.com>`. */
  readonly sender?: Envelope;
  /** RCPT TO, one or more. Default: `<recipient@example.com>`. */
  readonly recipients?: readonly Envelope[];
}

/** What became of a message that was fed. */
export interface FeedResult {
  /** The step whose verdict ended the message; `eom` where it went through to the end. */
  readonly endedAt: TestStep;
  /** The verdict of that step. */
  readonly verdict: Verdict;
  /** The outcome of that step. */
  readonly response: Response;
  /** The outcome for each recipient that was sent, in order. */
  readonly recipients: readonly Response[];
  /** What the filter asks to be changed, in its order; empty where the message did not reach its end. */
  readonly modifications: readonly Modification[];
  /** How often the filter said that it is still at work. */
  readonly progress: number;
  /** The message with the changes made. */
  readonly message: TestMessage;
}

/** An error in a handler. */
export interface HandlerError {
  readonly error: unknown;
  /** The step it was in, in libmilter's words. */
  readonly step: string;
}

/** The steps as {@link STEPS} and libmilter's frames name them. */
const WIRE_STEPS: Readonly<Record<TestStep, Step>> = {
  connect: 'connect',
  helo: 'helo',
  envfrom: 'mail',
  envrcpt: 'rcpt',
  data: 'data',
  header: 'header',
  eoh: 'eoh',
  body: 'body',
  eom: 'eom',
  unknown: 'unknown',
};
const TEST_STEPS = new Map(Object.entries(WIRE_STEPS).map(([name, step]) => [step, name as TestStep]));

const SENDER = '<sender@example.com>';
const RECIPIENT = '<recipient@example.com>';
const MOST_MESSAGE_BYTES = 256 * 1024 * 1024;
/** What a sockaddr_un holds, without its NUL. */
const MOST_PATH_BYTES = 107;

const SKIPPED: Response = { verdict: 'skipped' };
const NOREPLY: Response = { verdict: 'noreply' };

/** DISCARD says nothing of a connection (docs/callbacks.md). */
const GOES_ON: ReadonlySet<Verdict> = new Set<Verdict>(['continue', 'noreply', 'skipped', 'discard']);

function bad(message: string): MilterError {
  return new MilterError('ERR_MILTER_BAD_ARGUMENT', message);
}

/** Text as a filter gets it. */
function textOf(what: string, value: Text): string {
  if (typeof value !== 'string' && !types.isUint8Array(value)) {
    throw bad(`${what} must be a string or bytes, not ${value === null ? 'null' : typeof value}`);
  }
  const text = decodeBytes(bytesOf(value));
  if (text.includes('\0')) throw bad(`${what} contains a NUL character, which no MTA sends`);
  return text;
}

/** The address as libmilter hands it on: family, port, flow information, scope, and its text where it has one. */
function addressOf(peer: PeerAddress): readonly [numbers: readonly number[], text: readonly string[]] {
  switch (peer.family) {
    case 'inet':
    case 'inet6': {
      const [family, name] = peer.family === 'inet' ? [AF_INET, 'ipv4'] : [AF_INET6, 'ipv6'];
      // Sendmail writes `IPv6:` before an address, libmilter takes it away and brings it into its short form.
      const address = peer.family === 'inet' ? peer.address : peer.address.replace(/^IPv6:/i, '');
      if (!Number.isInteger(peer.port) || peer.port < 0 || peer.port > 65535) {
        throw bad(`hostaddr: the port must be a whole number from 0 to 65535, not ${peer.port}`);
      }
      try {
        const known = new SocketAddress({ address, family: name as 'ipv4' | 'ipv6' });
        return [[family, peer.port, 0, 0], [known.address]];
      } catch {
        throw bad(`hostaddr: ${JSON.stringify(peer.address)} is not an address of the family ${peer.family}`);
      }
    }
    case 'unix': {
      const path = textOf('hostaddr: path', peer.path);
      if (bytesOf(path).length > MOST_PATH_BYTES) {
        throw bad(`hostaddr: a path has at most ${MOST_PATH_BYTES} bytes`);
      }
      return [[AF_UNIX, 0, 0, 0], [path]];
    }
    case 'unknown':
      return [[AF_UNSPEC, 0, 0, 0], []];
    default:
      throw bad(
        "hostaddr must be { family: 'inet' or 'inet6', address, port }, { family: 'unix', path } or { family: 'unknown' }",
      );
  }
}

/** Keeps what it reports. */
class RecordingExceptions extends Exceptions {
  readonly errors: HandlerError[] = [];

  override report(error: unknown, step: string): void {
    this.errors.push({ error, step });
    super.report(error, step);
  }
}

/**
 * One SMTP session with a filter, without libmilter, a socket or an MTA. pymilter's TestCtx.
 *
 * Runs the filter as the package does: the same negotiation, checks, order of calls, deferral and exception policy; what
 * libmilter and the addon do of it is played. Each step is a method that resolves to the verdict as the MTA gets it; steps
 * that were negotiated away are skipped. `feedFile` and `feedMessage` run a whole message. Contexts share nothing but what
 * filters share anyway: setFlags and setExceptionPolicy.
 *
 * @example
 * ```
 * const ctx = new TestCtx(NoLottery);
 * const { verdict, message } = await ctx.feedFile('test/lottery.eml');
 * await ctx.close();
 * ```
 */
export class TestCtx implements AsyncDisposable {
  readonly #options: TestCtxOptions;
  readonly #offer: Offer;
  readonly #exceptions = new RecordingExceptions();
  readonly #libmilter: Libmilter;
  readonly #macros: Partial<Record<TestStep, Macros>>;
  readonly #greetings: { connect?: Response; helo?: Response } = {};
  #filter: Base | null = null;
  #negotiated: Negotiated | null = null;
  #negotiating: Promise<void> | null = null;
  /** The protocol bits that count for the MTA; none before negotiation. */
  #protocol = 0;
  #bodySkipped = false;
  #message: TestMessage | null = null;
  /** All of the message that is being fed: the MTA has it, whatever the filter wants to see. */
  #fed: MessageContent | null = null;
  #reply: Reply | null = null;
  /** The last step to be done; the next one waits for it. */
  #last: Promise<unknown> = Promise.resolve();
  /** The last message to be fed; the next one waits for it. */
  #lastFeed: Promise<unknown> = Promise.resolve();
  /** Messages that are being fed, or wait for it. */
  #feeds = 0;
  #closed: Promise<void> | null = null;

  /**
   * @param filter the filter's class, or a function that makes a filter object
   * @param options see {@link TestCtxOptions}
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an option that makes no sense or that there is not, and for a class that setFactory refuses
   */
  constructor(filter: Factory, options: TestCtxOptions = {}) {
    if (typeof filter !== 'function') {
      throw bad('TestCtx needs a class that extends Base, or a function that makes an object of one');
    }
    checkFactory(filter);
    checkOptions('TestCtx', options, TEST_CTX_OPTIONS);
    for (const name of ['chunkSize', 'maxMessageSize'] as const) {
      const value = options[name] ?? 1;
      if (!Number.isSafeInteger(value) || value < 1)
        throw bad(`${name} must be a whole number from 1 on: ${value}`);
    }
    const rules = options.headerRules ?? 'postfix';
    if (rules !== 'postfix' && rules !== 'sendmail')
      throw bad(`headerRules must be 'postfix' or 'sendmail', not ${rules}`);
    this.#options = options;
    this.#offer = completeOffer(options);
    this.#macros = { ...options.macros };
    this.#exceptions.setName(options.name ?? 'milter');
    this.#exceptions.setPolicy(options.exceptionPolicy ?? runtime.exceptions.policy);
    this.#exceptions.setHook(options.errorHook ?? null);
    const { handlerTimeout, progressInterval, immediate } = normaliseMainOptions(options);
    const make = (): Base => {
      this.#filter = makeFilter(filter);
      return this.#filter;
    };
    const dependencies: SharedDependencies = {
      callbacks: filterCallbacks(() => make),
      exceptions: this.#exceptions,
      options: { handlerTimeout, progressInterval, immediate },
    };
    this.#libmilter = new Libmilter(dependencies, options.states ?? new StateTable());
  }

  // --- what there is to look at

  /** The filter object; null before the first step. */
  get filter(): Base | null {
    return this.#filter;
  }

  /** What was settled on. @throws MilterError ERR_MILTER_PROTOCOL before negotiation */
  get negotiated(): Negotiated {
    if (this.#negotiated) return this.#negotiated;
    throw new MilterError('ERR_MILTER_PROTOCOL', 'nothing was negotiated yet: await negotiate() or a step');
  }

  /** The message that was begun last; null before envfrom. */
  get message(): TestMessage | null {
    return this.#message;
  }

  /** The reply that went out last with a REJECT or TEMPFAIL; null where the MTA would take its own words. */
  get reply(): Reply | null {
    return this.#reply;
  }

  /** The errors in handlers so far, those that the exception policy answered for. */
  get errors(): readonly HandlerError[] {
    return this.#exceptions.errors;
  }

  // --- steps

  /**
   * Negotiates; the first step does it by itself.
   * @throws MilterError ERR_MILTER_CLOSED where libmilter, ERR_MILTER_PROTOCOL where the MTA would break off
   */
  async negotiate(): Promise<Negotiated> {
    await this.#serially(() => this.#begin());
    return this.negotiated;
  }

  /**
   * Sends macros for a step, whatever the filter's symbol lists say; they are seen from it on.
   * @param macros values by name; `i` and `{i}`, `mail_addr` and `{mail_addr}` are the same
   */
  macros(step: TestStep, macros: Macros): Promise<void> {
    const symbols = symbolsOf(macros);
    return this.#serially(async () => {
      await this.#begin();
      this.#libmilter.macros(step, symbols);
    });
  }

  /** A client connects: the handler `connect`. Defaults: the options `hostname` and `hostaddr`. */
  async connect(
    hostname: Text = this.#options.hostname ?? 'localhost',
    hostaddr: PeerAddress = this.#options.hostaddr ?? {
      family: 'inet',
      address: '127.0.0.1',
      port: 25000,
    },
  ): Promise<Response> {
    const [numbers, text] = addressOf(hostaddr);
    const name = textOf('connect: hostname', hostname);
    const response = await this.#step('connect', ...numbers, name, ...text);
    this.#greetings.connect = response;
    return response;
  }

  /** HELO or EHLO: the handler `hello`. Default: the option `helo`. */
  async helo(name: Text = this.#options.helo ?? 'localhost'): Promise<Response> {
    const response = await this.#step('helo', textOf('helo: name', name));
    this.#greetings.helo = response;
    return response;
  }

  /** MAIL FROM, the start of a message: the handler `envfrom`. `params` are ESMTP parameters, one string each. */
  async envfrom(address: Text, ...params: Text[]): Promise<Response> {
    const [sender = '', ...more] = [address, ...params].map((part) => textOf('envfrom', part));
    return this.#serially(async () => {
      this.#bodySkipped = false;
      const message = new TestMessage(this.#options.headerRules ?? 'postfix', sender, more);
      await this.#begin();
      this.#message = message;
      if (this.#fed) {
        for (const [name, value] of this.#fed.headers) message.receive(name, withoutSpace(value));
        message.body = this.#fed.body;
      }
      return this.#send('envfrom', sender, ...more);
    });
  }

  /** RCPT TO: the handler `envrcpt`. */
  async envrcpt(address: Text, ...params: Text[]): Promise<Response> {
    const [recipient = '', ...more] = [address, ...params].map((part) => textOf('envrcpt', part));
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
   * @param value as the filter shall get it: without the space after the colon, unless HDR_LEADSPC was negotiated; folded
   *   lines are separated by LF
   */
  async header(name: Text, value: Text): Promise<Response> {
    const [field, text] = [textOf('header: name', name), textOf('header: value', value)];
    if (field === '') throw bad('header: the name must not be empty');
    const response = await this.#step('header', field, text);
    if (!this.#fed) this.#message?.receive(field, this.#leadingSpace ? withoutSpace(text) : text);
    return response;
  }

  /** The end of the headers: the handler `eoh`. */
  eoh(): Promise<Response> {
    return this.#step('eoh');
  }

  /**
   * Body, in chunks of the option `chunkSize`: the handler `body`. Stops at the first chunk whose verdict is other than
   * `continue`; after `skip` nothing more of this message's body is sent.
   * @param data lines ended by CRLF; nothing is sent for none, as MTAs do
   * @returns the verdict of the last chunk that was sent, `skipped` where none was
   */
  async body(data: Text): Promise<Response> {
    const bytes = Buffer.from(bytesOf(data));
    const chunkSize = this.#options.chunkSize ?? CHUNK_SIZE;
    const message = this.#message;
    if (message && !this.#fed) message.body = Buffer.concat([message.body, bytes]);
    let response = SKIPPED;
    for (let at = 0; at < bytes.length && !this.#bodySkipped; at += chunkSize) {
      response = await this.#step('body', Buffer.from(bytes.subarray(at, at + chunkSize)));
      if (response.verdict === 'skip') this.#bodySkipped = true;
      if (response.verdict !== 'continue' && response.verdict !== 'noreply') break;
    }
    return response;
  }

  /** The end of the message: the handler `eom`, whose changes are made to `message` and told in the outcome. */
  eom(): Promise<EomResponse> {
    return this.#serially(async () => {
      await this.#begin();
      this.#bodySkipped = false;
      this.#sendMacros('eom');
      const outcome = await this.#libmilter.eom();
      const response = this.#answered('eom', outcome);
      const space = this.#leadingSpace;
      for (const modification of outcome.modifications) {
        this.#message?.apply(space && 'value' in modification ? spaceless(modification) : modification);
      }
      return { ...response, modifications: outcome.modifications, progress: outcome.progress };
    });
  }

  /** A command that the MTA does not know: the handler `unknown`. */
  async unknown(command: Text): Promise<Response> {
    return this.#step('unknown', textOf('unknown: command', command));
  }

  /** The message is given up: the handler `abort`. Resolves when it is done. */
  abort(): Promise<void> {
    return this.#serially(async () => {
      await this.#begin();
      this.#bodySkipped = false;
      await this.#libmilter.abort();
    });
  }

  /**
   * The session ends, but the MTA keeps the connection for the next one, which begins with `connect` and is not negotiated:
   * the handler `close`. After a message's end or `unknown`; elsewhere libmilter ignores it.
   * @throws MilterError ERR_MILTER_PROTOCOL where it is ignored
   */
  quitNewConnection(): Promise<void> {
    return this.#serially(async () => {
      await this.#begin();
      if (!(await this.#libmilter.quitNewConnection())) throw ignored('quitNewConnection');
      delete this.#greetings.connect;
      delete this.#greetings.helo;
    });
  }

  /**
   * The session ends, after what has been begun: the handler `close`, after `abort` where a message is under way. Resolves
   * when it is done; never fails.
   */
  close(): Promise<void> {
    this.#closed ??= this.#lastFeed.then(() => this.#last).then(() => this.#libmilter.quit());
    return this.#closed;
  }

  /** {@link close} */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- whole messages

  /** As {@link feedMessage}, from a file. */
  feedFile(path: string | URL, envelope: FeedEnvelope = {}): Promise<FeedResult> {
    return this.feedMessage(createReadStream(path), envelope);
  }

  /**
   * Runs a whole message: connect and helo where they have not been, envfrom, envrcpt for each recipient, data, headers,
   * eoh, body, eom. Splits it as an MTA does, see docs/testing.md.
   *
   * Ends at the first verdict that ends the message. A recipient that is refused does not, unless none is left; then the
   * message is aborted. Where connect or helo were refused or accepted for good, no message is sent.
   *
   * @param source the message: all of it, or a stream; a string is sent as UTF-8
   * @throws MilterError ERR_MILTER_BAD_ARGUMENT where it has more bytes than the option `maxMessageSize`
   */
  feedMessage(source: MessageSource, envelope: FeedEnvelope = {}): Promise<FeedResult> {
    if (this.#closed) return Promise.reject(ended());
    this.#feeds++;
    const result = this.#lastFeed.then(() => this.#feed(source, envelope)).finally(() => this.#feeds--);
    this.#lastFeed = result.catch(() => {});
    return result;
  }

  // ---

  async #feed(source: MessageSource, envelope: FeedEnvelope): Promise<FeedResult> {
    const content = splitMessage(
      await readSource(source, this.#options.maxMessageSize ?? MOST_MESSAGE_BYTES),
    );
    const { sender = SENDER, recipients = [RECIPIENT] } = envelope;
    for (const step of ['connect', 'helo'] as const) {
      const response = this.#greetings[step] ?? (await this[step]());
      if (GOES_ON.has(response.verdict)) continue;
      const [address = '', ...params] = partsOf(sender).map((part) => textOf('sender', part));
      return {
        endedAt: step,
        verdict: response.verdict,
        response,
        recipients: [],
        modifications: [],
        progress: 0,
        message: new TestMessage(this.#options.headerRules ?? 'postfix', address, params),
      };
    }
    this.#fed = content;
    try {
      const spaced = this.#leadingSpace;
      const { endedAt, ...result } = await sendMessage(
        {
          mail: (...args) => this.envfrom(...args),
          rcpt: (...args) => this.envrcpt(...args),
          data: () => this.data(),
          header: (...args) => this.header(...args),
          eoh: () => this.eoh(),
          body: (data) => this.body(data),
          eom: () => this.eom(),
          abort: () => this.abort(),
        },
        {
          sender,
          recipients,
          headers: content.headers.map(([name, value]) => [name, spaced ? value : withoutSpace(value)]),
          body: content.body,
        },
        false, // the values are what the filter shall get already
      );
      return {
        ...result,
        endedAt: TEST_STEPS.get(endedAt) as TestStep,
        message: this.#message as TestMessage,
      };
    } finally {
      this.#fed = null;
    }
  }

  get #leadingSpace(): boolean {
    return (this.#protocol & Protocol.HDR_LEADSPC) !== 0;
  }

  /** Runs one step after the other, also where a test does not wait. */
  #serially<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closed && this.#feeds === 0) return Promise.reject(ended());
    const result = this.#last.then(run);
    this.#last = result.catch(() => {});
    return result;
  }

  #begin(): Promise<void> {
    this.#negotiating ??= this.#negotiate();
    return this.#negotiating;
  }

  async #negotiate(): Promise<void> {
    if (this.#options.negotiate === false) return;
    this.#negotiated = await this.#libmilter.negotiate(this.#offer);
    this.#protocol = effectiveProtocol(this.#negotiated);
  }

  #step(name: TestStep, ...args: readonly unknown[]): Promise<Response> {
    return this.#serially(async () => {
      await this.#begin();
      return this.#send(name, ...args);
    });
  }

  async #send(name: TestStep, ...args: readonly unknown[]): Promise<Response> {
    const { off, noReply } = STEPS[WIRE_STEPS[name]];
    this.#sendMacros(name); // MTAs send them also for a step that is negotiated away
    if (this.#protocol & off) return SKIPPED;
    const outcome = await this.#libmilter.command(name, ...args);
    if (!outcome.ignored && this.#protocol & noReply) return NOREPLY;
    return this.#answered(name, outcome);
  }

  #answered(name: TestStep, outcome: Outcome): Response {
    if (outcome.ignored || !outcome.reply) throw ignored(name);
    const { reply } = outcome;
    if (reply.verdict === 'reject' || reply.verdict === 'tempfail') this.#reply = reply.reply ?? null;
    return reply;
  }

  #sendMacros(name: TestStep): void {
    const macros = this.#macros[name];
    if (!macros) return;
    const symlists = (this.#options.honourSymlists ?? true) ? (this.#negotiated?.symlists ?? {}) : {};
    this.#libmilter.macros(name, symbolsOf(restrictToSymlist(macros, WIRE_STEPS[name], symlists)));
  }
}

function symbolsOf(macros: Macros): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(macros).map(([name, value]) => [wireName(name), textOf(`the macro ${name}`, value)]),
  );
}

function partsOf(envelope: Envelope): readonly Text[] {
  return typeof envelope === 'string' || types.isUint8Array(envelope) ? [envelope] : envelope;
}

/** A header's value without the space after the colon, which MTAs take away. */
function withoutSpace(value: string): string {
  return value.startsWith(' ') ? value.slice(1) : value;
}

function spaceless<M extends { readonly value: string }>(modification: M): M {
  return { ...modification, value: withoutSpace(modification.value) };
}

function ended(): MilterError {
  return new MilterError(
    'ERR_MILTER_CLOSED',
    'the session has ended: make another TestCtx for another session',
  );
}

function ignored(step: string): MilterError {
  return new MilterError(
    'ERR_MILTER_PROTOCOL',
    `libmilter ignores ${step} where the session stands, and an MTA would wait in vain for an answer: ` +
      'send the steps in the order of SMTP',
  );
}
