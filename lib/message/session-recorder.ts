/** Records the sessions of a filter object, by handlers of its own that call those of its class. */
import { CONTINUE, SKIP } from '../addon/constants.js';
import {
  ABORT,
  BODY,
  bitOf,
  CLOSE,
  CONNECT,
  DATA,
  ENVFROM,
  ENVRCPT,
  EOH,
  EOM,
  type HandlerName,
  HEADER,
  HELO,
  SYMLIST_STAGES,
} from '../addon/steps.js';
import type { FailedMessages, SavedMacros, SavedPeer } from '../archive/index.js';
import { AnyFilter } from '../filter/base.js';
import { decodeAs } from '../filter/decode.js';
import { keepDecorators, type Plan, planForObject, planOf } from '../filter/plan.js';
import type { MilterError } from '../internal/errors.js';
import { onAbort } from '../internal/on-abort.js';
import { AF_INET, AF_INET6, AF_UNIX, type Peer } from '../session/hostaddr.js';
import { checkStatus } from '../session/status.js';
import type { StorageOptions } from './body-store.js';
import { HeaderField } from './header-field.js';
import { MessageRecord, type RecordedSession } from './message-record.js';

/** Macros that MTAs send with a step, besides those that the filter asks for (docs/macros.md). */
const COMMON_MACROS: Readonly<Partial<Record<HandlerName, readonly string[]>>> = {
  connect: [
    ...['j', 'v', '_', '{daemon_name}', '{daemon_addr}', '{daemon_port}', '{if_name}', '{if_addr}'],
    ...['{client_addr}', '{client_name}', '{client_port}', '{client_ptr}', '{client_resolve}'],
  ],
  hello: ['{tls_version}', '{cipher}', '{cipher_bits}', '{cert_subject}', '{cert_issuer}'],
  envfrom: [
    ...['i', '{auth_type}', '{auth_authen}', '{auth_ssf}', '{auth_author}'],
    ...['{mail_mailer}', '{mail_host}', '{mail_addr}'],
  ],
  envrcpt: ['i', '{rcpt_mailer}', '{rcpt_host}', '{rcpt_addr}'],
  data: ['i'],
  eoh: ['i'],
  eom: ['i', '{msg_id}'],
};

/** The arguments that are decoded as the filter's `@decode` says; of the others, all. */
const DECODED_FROM: Readonly<Partial<Record<HandlerName, number>>> = { header: 1, body: Infinity };

type AnyHandler = (...args: unknown[]) => unknown;

export class SessionRecorder {
  readonly #filter: AnyFilter;
  readonly #handlers: Record<HandlerName, AnyHandler>;
  /** The steps that the filter itself has handlers for. */
  readonly #handled: number;
  readonly #failed: FailedMessages;
  readonly #storage: Required<StorageOptions>;
  readonly #onError: (error: unknown) => void;
  #decode: Plan['decode'] = {};
  #session: RecordedSession = { client: null, helo: null, macros: {} };
  #message: MessageRecord | null = null;
  /** Handlers that want no more of this message, which is recorded nevertheless. */
  readonly #skipped = new Set<HandlerName>();

  constructor(
    filter: AnyFilter,
    failed: FailedMessages,
    storage: Required<StorageOptions>,
    onError: (error: unknown) => void,
  ) {
    this.#filter = filter;
    this.#handlers = filter as unknown as Record<HandlerName, AnyHandler>;
    this.#handled = planForObject(filter, planOf(filter.constructor, AnyFilter)).handled;
    this.#failed = failed;
    this.#storage = storage;
    this.#onError = onError;
  }

  /** Gives the filter object its handlers, before its session begins. */
  attach(): void {
    const filter = this.#filter;
    const negotiate = filter.negotiate.bind(filter);
    filter.negotiate = (options) => {
      this.#takeDecoding();
      return negotiate(options);
    };
    this.#wrap('connect', CONNECT, (hostname: string, ...peer: Peer) => {
      this.#takeDecoding(); // where the MTA reuses its connection, nothing is negotiated
      const macros = { connect: this.#macros('connect') };
      this.#session = { client: { hostname, peer: savedPeer(peer) }, helo: null, macros };
    });
    this.#wrap('hello', HELO, (helo: string) => {
      const macros = { ...this.#session.macros, helo: this.#macros('hello') };
      this.#session = { ...this.#session, helo, macros };
    });
    this.#wrap('envfrom', ENVFROM, (...sender: string[]) => {
      this.#end(this.#message);
      this.#skipped.clear();
      this.#message = new MessageRecord(this.#session, sender, this.#storage);
      this.#addMacros('envfrom');
    });
    this.#wrap('envrcpt', ENVRCPT, (...command: string[]) => {
      this.#message?.addRecipient(command, this.#macros('envrcpt'));
    });
    if (this.#handled & bitOf(DATA)) this.#wrap('data', DATA, () => this.#addMacros('data'));
    this.#wrap('header', HEADER, (name: string, value: string) => {
      this.#message?.addHeader(HeaderField.received(filter.context.protocol, name, value));
    });
    this.#wrap('eoh', EOH, () => this.#addMacros('eoh'));
    this.#wrap('body', BODY, (chunk: Buffer) => this.#message?.addBody(chunk));
    this.#wrap('eom', EOM, () => {
      this.#addMacros('eom');
      if (this.#message) this.#message.complete = true;
    });
    this.#endAt('abort', ABORT);
    this.#endAt('close', CLOSE);
  }

  /** The values are recorded as they arrive, so they are decoded here instead of before the handler. */
  #takeDecoding(): void {
    const { context } = this.#filter;
    const plan = context.plan as Plan;
    const { unknown, ...taken } = plan.decode;
    if (Object.keys(taken).length === 0) return;
    this.#decode = taken;
    context.plan = { ...plan, decode: unknown === undefined ? {} : { unknown } } as Plan;
  }

  #wrap<Args extends unknown[]>(
    handler: HandlerName,
    step: number,
    record: (...args: Args) => Promise<void> | void,
  ): void {
    const original = this.#originalOf(handler, step);
    const call = (args: unknown[]) => this.#call(handler, original, args);
    this.#replace(handler, (...args) => {
      const recorded = this.#record(() => record(...(args as Args)));
      return recorded ? recorded.then(() => call(args)) : call(args);
    });
  }

  #endAt(handler: 'abort' | 'close', step: number): void {
    const original = this.#originalOf(handler, step);
    this.#replace(handler, () => {
      this.#end(this.#message);
      return original();
    });
  }

  #originalOf(handler: HandlerName, step: number): AnyHandler {
    return this.#handled & bitOf(step) ? this.#handlers[handler].bind(this.#filter) : () => CONTINUE;
  }

  #replace(handler: HandlerName, wrapper: AnyHandler): void {
    if (!Object.hasOwn(this.#filter, handler)) keepDecorators(wrapper);
    // Not by assignment, which a getter of that name refuses.
    Object.defineProperty(this.#filter, handler, { value: wrapper, writable: true, configurable: true });
  }

  /** Records something; a message that cannot be recorded, as on a full disk, is forgotten, and the filter goes on. */
  #record(record: () => Promise<void> | void): Promise<void> | undefined {
    const message = this.#message;
    const fail = (error: unknown) => {
      this.#end(message);
      this.#onError(error);
    };
    try {
      return record()?.catch(fail);
    } catch (error) {
      fail(error);
      return undefined;
    }
  }

  #call(handler: HandlerName, original: AnyHandler, args: unknown[]): unknown {
    const message = this.#message;
    if (message === null) return original(...this.#decoded(handler, args));
    if (this.#skipped.has(handler)) return CONTINUE;
    let answer: unknown;
    try {
      answer = original(...this.#decoded(handler, args));
      if (!isPromise(answer)) return this.#settle(message, handler, answer);
    } catch (error) {
      return this.#fail(message, handler, error);
    }
    return this.#await(message, handler, answer);
  }

  async #await(message: MessageRecord, handler: HandlerName, answer: PromiseLike<unknown>): Promise<unknown> {
    const { signal } = this.#filter.context;
    const unsubscribe = onAbort(signal, () => {
      const reason = signal.reason as MilterError;
      if (reason.code === 'ERR_MILTER_HANDLER_TIMEOUT') void this.#save(message, handler, reason);
    });
    try {
      return this.#settle(message, handler, await answer);
    } catch (error) {
      // A handler that is too late fails because its session has gone on, or has ended.
      if (signal.aborted) throw error;
      return await this.#fail(message, handler, error);
    } finally {
      unsubscribe();
    }
  }

  /** The answer for the session. All of the message is wanted, also if the handler wants no more of it. */
  #settle(message: MessageRecord, handler: HandlerName, answer: unknown): unknown {
    const status = checkStatus(handler, answer);
    if (handler === 'eom') this.#end(message);
    if (status !== SKIP) return status;
    this.#skipped.add(handler);
    return CONTINUE;
  }

  async #fail(message: MessageRecord, handler: HandlerName, error: unknown): Promise<never> {
    await this.#save(message, handler, error);
    if (handler === 'eom') this.#end(message);
    throw error;
  }

  #save(message: MessageRecord, handler: HandlerName, error: unknown): Promise<void> {
    return message.save(this.#failed, handler, error, this.#onError);
  }

  #end(message: MessageRecord | null): void {
    if (message === this.#message) this.#message = null;
    message?.dispose().catch(this.#onError);
  }

  #decoded(handler: HandlerName, args: unknown[]): unknown[] {
    const policy = this.#decode[handler];
    const from = DECODED_FROM[handler] ?? 0;
    if (!policy) return args;
    return args.map((arg, at) => (typeof arg === 'string' && at >= from ? decodeAs(policy, arg) : arg));
  }

  #addMacros(handler: 'envfrom' | 'data' | 'eoh' | 'eom'): void {
    this.#message?.addMacros(handler, this.#macros(handler));
  }

  /** What the MTA has sent by now of a step's macros. */
  #macros(handler: HandlerName): SavedMacros {
    const { context } = this.#filter;
    const stage = SYMLIST_STAGES.get(handler);
    const asked = (context.plan as Plan).symlists
      .filter(([asked]) => asked === stage)
      .flatMap(([, names]) => names.join(' ').split(/\s+/).filter(Boolean));
    const found: [string, string][] = [];
    for (const name of new Set([...(COMMON_MACROS[handler] ?? []), ...asked])) {
      const value = context.getsymval(name);
      if (value !== null) found.push([name, value]);
    }
    return Object.fromEntries(found);
  }
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | null)?.then === 'function';

function savedPeer([family, hostaddr]: Peer): SavedPeer {
  switch (family) {
    case AF_INET:
      return { family: 'inet', address: hostaddr[0], port: hostaddr[1] };
    case AF_INET6:
      return { family: 'inet6', address: hostaddr[0], port: hostaddr[1] };
    case AF_UNIX:
      return { family: 'unix', path: hostaddr };
    default:
      return { family: 'unknown' };
  }
}
