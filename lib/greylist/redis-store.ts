/** A greylist in Redis, which several machines can share. */

import { badArgument, MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, checkText, type OptionNames } from '../internal/validate.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { loadPackage } from './packages.js';
import { CHECK, CLEAN } from './redis-script.js';
import type { Rules } from './rules.js';
import { digestOf, type GreylistStore, type Triple } from './store.js';

/** Options for the connection to Redis. */
export interface RedisStoreOptions {
  /** `redis://user:password@host:port/database`, `rediss://...` for TLS, or `unix:///path`. Default: `client.socket` if given, otherwise redis://127.0.0.1:6379. */
  readonly url?: string;
  /** Further options for `createClient` of the package, such as certificates. Default: none. */
  readonly client?: Readonly<{ [option: string]: unknown }>;
  /** The prefix of all keys. No other keys in the database may have it. Default: `tsmilter:greylist:`. */
  readonly prefix?: string;
  /** Milliseconds to wait for a reply, including the time to connect. Default: 2,000. */
  readonly timeout?: number;
  /**
   * Milliseconds for which checks fail at once after Redis has not replied in time, so that not every recipient waits for
   * `timeout`. Then one request tries whether Redis replies again. 0: every check waits. Default: 10,000.
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
interface Client {
  readonly isOpen: boolean;
  on(event: 'error', listener: (error: Error) => void): this;
  connect(): Promise<unknown>;
  destroy(): void;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
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

  constructor(readonly client: Client) {
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

/** Keys per script run of clean(). Redis serves no other client while a script runs. */
const BATCH = 500;

/**
 * A greylist in Redis 6 or later, using the optional package `redis`. All hosts with the same Redis and prefix share one
 * greylist; their clocks must agree within a few seconds. Redis expires triples by itself, so `clean()` has little to do.
 *
 * The first check connects. If Redis is unavailable, a check fails at once, and the next check connects again. If Redis does not
 * reply, all pending checks fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisStore implements GreylistStore {
  readonly #newConnection: () => Connection;
  readonly #where: string;
  readonly #prefix: string;
  readonly #timeout: number;
  readonly #breaker: CircuitBreaker;
  /** Requests without a reply yet. */
  readonly #pending = new Set<Promise<unknown>>();
  #connection: Connection;
  #closed = false;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(options: RedisStoreOptions = {}) {
    checkOptions('RedisStore', options, OPTIONS);
    const { client = {}, prefix = 'tsmilter:greylist:', timeout = 2000, retryAfter = 10_000 } = options;
    // The package would prefer the host and port of a URL to the path of a unix socket.
    const url = options.url ?? (client.socket ? undefined : 'redis://127.0.0.1:6379');
    checkText('RedisStore: url', url ?? '');
    checkText('RedisStore: prefix', prefix);
    checkInteger('RedisStore: timeout', timeout, 1);
    checkInteger('RedisStore: retryAfter', retryAfter, 0);
    const { createClient } = loadPackage(
      'redis',
      'RedisStore',
      () => require('redis') as typeof import('redis'),
    );
    this.#where = url === undefined ? '' : ` at ${withoutPassword(url)}`;
    this.#prefix = prefix;
    this.#timeout = timeout;
    this.#breaker = new CircuitBreaker(retryAfter);
    // The next check reconnects. The package's own reconnection has no end that a check could wait for.
    const socket = {
      ...(client.socket as object | undefined),
      connectTimeout: timeout,
      reconnectStrategy: false,
    };
    const clientOptions = { ...(url !== undefined && { url }), ...client, socket } as object;
    this.#newConnection = () => new Connection(createClient(clientOptions) as unknown as Client);
    try {
      this.#connection = this.#newConnection(); // validates its options now, connects later
    } catch (error) {
      // The cause is omitted, because it quotes the URL with its password.
      throw badArgument(`RedisStore: url or client: ${(error as Error).message}`);
    }
  }

  async check(triple: Triple, now: number, rules: Rules): Promise<number> {
    // A digest keeps keys short for addresses of any length, and does not reveal who writes to whom.
    const keys = [this.#prefix + digestOf(...triple), `${this.#prefix}client:${digestOf(triple[0])}`];
    const args = [now, rules.delay, rules.window, rules.lifetime, rules.autoWhitelist].map(String);
    return this.#request((client) => client.eval(CHECK, { keys, arguments: args }) as Promise<number>);
  }

  /** As {@link GreylistStore.clean}. `timeout` applies to each batch of keys. */
  async clean(now: number, { window, lifetime }: Rules): Promise<number> {
    const MATCH = `${this.#prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    const args = [now, window, lifetime].map(String);
    let removed = 0;
    let cursor = '0';
    do {
      removed += await this.#request(async (client) => {
        const found = await client.scan(cursor, { MATCH, COUNT: BATCH });
        cursor = String(found.cursor);
        if (found.keys.length === 0) return 0;
        return client.eval(CLEAN, { keys: found.keys, arguments: args }) as Promise<number>;
      });
    } while (cursor !== '0');
    return removed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#pending);
    this.#connection.end(new Error('the store is closed'));
  }

  async #request<T>(send: (client: Client) => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#error(new Error('the store is closed'));
    const open = this.#breaker.check();
    if (open !== undefined) throw this.#error(open);
    if (this.#connection.failure) this.#connection = this.#newConnection();
    const connection = this.#connection;
    const answer = this.#withTimeout(connection.connect().then(() => send(connection.client)));
    this.#pending.add(answer);
    try {
      const reply = await answer;
      this.#breaker.close();
      return reply;
    } catch (error) {
      // After an error reply such as "out of memory" the connection is still usable; after any other error it is replaced.
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

  #error(cause: Error): MilterError {
    const message = `greylist in Redis${this.#where}: ${cause.message || String(cause)}`;
    return new MilterError('ERR_MILTER_STORE', message, { cause });
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
  return url.replace(/\/\/[^@/]*@/, '//');
}
