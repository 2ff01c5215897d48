/** Requests to a Redis server that may be slow, hang or go away. */

import { badArgument, MilterError } from '../errors.js';
import { publish, REDIS_CHANNEL } from '../helper-events.js';
import { checkInteger, checkOptions, checkText, type OptionNames } from '../validate.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { loadPackage } from './packages.js';

/** Options for the connection to Redis. */
export interface RedisStoreOptions {
  /** `redis://user:password@host:port/database`, `rediss://...` for TLS, or `unix:///path`. Default: `client.socket` if given, otherwise redis://127.0.0.1:6379. */
  readonly url?: string;
  /** Further options for `createClient` of the package, such as certificates. Default: none. */
  readonly client?: Readonly<{ [option: string]: unknown }>;
  /**
   * The prefix of all keys. No other keys in the database may have it. Default: `tsmilter:` and the name of what is stored, such as
   * `tsmilter:greylist:`.
   */
  readonly prefix?: string;
  /** Milliseconds to wait for a reply, including the time to connect. Default: 2,000. */
  readonly timeout?: number;
  /**
   * Milliseconds for which requests fail at once after Redis has not replied in time, so that not every caller waits for
   * `timeout`. Then one request tries whether Redis replies again. 0: every request waits. Default: 10,000.
   */
  readonly retryAfter?: number;
}

const OPTIONS: OptionNames<RedisStoreOptions> = {
  url: true,
  client: true,
  prefix: true,
  timeout: true,
  retryAfter: true,
};

/** The methods of the package's client that are used here. */
export interface RedisClient {
  readonly isOpen: boolean;
  on(event: 'error', listener: (error: Error) => void): this;
  connect(): Promise<unknown>;
  destroy(): void;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  del(key: string): Promise<number>;
  hVals(key: string): Promise<string[]>;
  scan(
    cursor: string,
    options: { MATCH: string; COUNT: number },
  ): Promise<{ cursor: string | number; keys: string[] }>;
}

/** A client. After a failure it is replaced by a new one. */
class Connection {
  /** The failure, which rejects all pending requests. */
  failure: Error | undefined;
  #connected: Promise<unknown> | undefined;

  constructor(readonly client: RedisClient) {
    // Without a listener, an error would end the process. Pending requests are rejected with it.
    client.on('error', (error) => this.end(error));
  }

  /** Connects. Concurrent calls share one attempt. */
  connect(): Promise<unknown> {
    this.#connected ??= this.client.connect();
    return this.#connected;
  }

  end(failure: Error): void {
    this.failure ??= failure;
    if (this.client.isOpen) this.client.destroy();
  }
}

/** No reply in time. */
class NoReply extends Error {}

/** Keys per batch of {@link RedisRequests.eachBatch}. Redis serves no other client while it runs a script. */
const BATCH = 500;

/** Whose requests these are, for messages. */
export interface RedisOwner {
  /** The class that the user has constructed, such as `RedisStore`. */
  readonly name: string;
  /** What it stores, such as `greylist`; it is also the last part of the default prefix. */
  readonly contents: string;
}

/**
 * Sends requests to Redis 6 or later, using the optional package `redis`.
 *
 * The first request connects. If Redis is unavailable, a request fails at once, and the next one connects again. If Redis does not
 * reply, all pending requests fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisRequests {
  /** The prefix of all keys. */
  readonly prefix: string;
  readonly #newConnection: () => Connection;
  readonly #where: string;
  readonly #timeout: number;
  readonly #breaker: CircuitBreaker;
  /** Requests without a reply yet. */
  readonly #pending = new Set<Promise<unknown>>();
  #connection: Connection;
  #closed = false;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor({ name, contents }: RedisOwner, options: RedisStoreOptions) {
    checkOptions(name, options, OPTIONS);
    const { client = {}, prefix = `tsmilter:${contents}:`, timeout = 2000, retryAfter = 10_000 } = options;
    // The package would prefer the host and port of a URL to the path of a unix socket.
    const url = options.url ?? (client.socket ? undefined : 'redis://127.0.0.1:6379');
    checkText(`${name}: url`, url ?? '');
    checkText(`${name}: prefix`, prefix);
    checkInteger(`${name}: timeout`, timeout, 1);
    checkInteger(`${name}: retryAfter`, retryAfter, 0);
    const { createClient } = loadPackage('redis', name, () => require('redis') as typeof import('redis'));
    this.#where = `${contents} in Redis${url === undefined ? '' : ` at ${withoutPassword(url)}`}`;
    this.prefix = prefix;
    this.#timeout = timeout;
    this.#breaker = new CircuitBreaker(retryAfter);
    // The next request reconnects. The package's own reconnection has no end that a request could wait for.
    const socket = {
      ...(client.socket as object | undefined),
      connectTimeout: timeout,
      reconnectStrategy: false,
    };
    const clientOptions = { ...(url !== undefined && { url }), ...client, socket } as object;
    this.#newConnection = () => new Connection(createClient(clientOptions) as unknown as RedisClient);
    try {
      this.#connection = this.#newConnection(); // validates its options now, connects later
    } catch (error) {
      // The cause is omitted, because it quotes the URL with its password.
      throw badArgument(`${name}: url or client: ${(error as Error).message}`);
    }
  }

  /**
   * Sends a request.
   *
   * @param send calls a method of the client
   * @throws MilterError ERR_MILTER_STORE if Redis cannot be reached, does not reply in time, or replies with an error
   */
  async send<T>(send: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#error(new Error('the store is closed'));
    const open = this.#breaker.check();
    if (open !== undefined) throw this.#error(open);
    if (this.#connection.failure) this.#connection = this.#newConnection();
    const connection = this.#connection;
    const begun = performance.now();
    const answer = this.#withTimeout(connection.connect().then(() => send(connection.client)));
    this.#pending.add(answer);
    try {
      const reply = await answer;
      this.#breaker.close();
      publish(REDIS_CHANNEL, 'ok', begun);
      return reply;
    } catch (error) {
      // After an error reply such as "out of memory" the connection is still usable; after any other error it is replaced.
      publish(REDIS_CHANNEL, 'failed', begun);
      const replied = isReply(error);
      if (!replied) connection.end(error as Error);
      const failure = (replied ? undefined : connection.failure) ?? (error as Error);
      if (isNoReply(failure)) this.#breaker.open(failure);
      else this.#breaker.close();
      throw this.#error(failure);
    } finally {
      this.#pending.delete(answer);
    }
  }

  /** Runs a Lua script, as {@link send}. */
  eval<T>(script: string, keys: string[], args: readonly (string | number)[]): Promise<T> {
    return this.send((client) => client.eval(script, { keys, arguments: args.map(String) }) as Promise<T>);
  }

  /**
   * Runs a Lua script for all keys with the prefix, some hundred at a time, and yields its results. `timeout` applies to each batch.
   */
  async *eachBatch<T>(script: string, args: readonly (string | number)[]): AsyncGenerator<T, void, void> {
    const MATCH = `${this.prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    let cursor = '0';
    do {
      const found = await this.send((client) => client.scan(cursor, { MATCH, COUNT: BATCH }));
      cursor = String(found.cursor);
      if (found.keys.length > 0) yield await this.eval<T>(script, found.keys, args);
    } while (cursor !== '0');
  }

  /** Waits for pending requests and ends the connection. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#pending);
    this.#connection.end(new Error('the store is closed'));
  }

  #error(cause: Error): MilterError {
    return new MilterError('ERR_MILTER_STORE', `${this.#where}: ${cause.message || String(cause)}`, {
      cause,
    });
  }

  async #withTimeout<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new NoReply(`no reply within ${this.#timeout} ms`)), this.#timeout);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether Redis has replied with an error that a new connection would not change. */
function isReply(error: unknown): boolean {
  const { ErrorReply } = require('redis') as typeof import('redis');
  // READONLY means that this server has become a replica; its name may already refer to the new primary.
  return error instanceof ErrorReply && !error.message.startsWith('READONLY');
}

/** Whether Redis has not replied in time, also to the attempt to connect, which the package ends by itself. */
function isNoReply(failure: Error): boolean {
  const { ConnectionTimeoutError } = require('redis') as typeof import('redis');
  return failure instanceof NoReply || failure instanceof ConnectionTimeoutError;
}

/** Removes user and password from a URL, for messages. */
function withoutPassword(url: string): string {
  // A password may have an @ of its own: the last one before the path ends it.
  return url.replace(/\/\/[^/]*@/, '//');
}
