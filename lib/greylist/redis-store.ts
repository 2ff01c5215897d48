/** A greylist in Redis, for several machines. */

import { badArgument, MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, checkText, type OptionNames } from '../internal/validate.js';
import { loadPackage } from './packages.js';
import { CHECK, CLEAN } from './redis-script.js';
import type { Rules } from './rules.js';
import { digestOf, type GreylistStore, type Triple } from './store.js';

/** How Redis is reached. */
export interface RedisStoreOptions {
  /** `redis://user:password@host:port/database`, `rediss://...` for TLS, `unix:///path`. Default: redis://127.0.0.1:6379, or what `client.socket` says. */
  readonly url?: string;
  /** Options of the package's `createClient` besides: certificates, say. Default: none. */
  readonly client?: Readonly<{ [option: string]: unknown }>;
  /** What its keys begin with, and no others in that database do. Default: `tsmilter:greylist:`. */
  readonly prefix?: string;
  /** Milliseconds for an answer, connecting included. Default: 2,000. */
  readonly timeout?: number;
}

const OPTIONS: OptionNames<RedisStoreOptions> = {
  url: true,
  client: true,
  prefix: true,
  timeout: true,
};

/** As much of the package's client as is used here. */
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

/** A client, which is left for a new one when something goes wrong with it. */
class Connection {
  /** What went wrong, for all who wait for an answer on it. */
  failure: Error | undefined;
  #connected: Promise<unknown> | undefined;

  constructor(readonly client: Client) {
    // Without a listener an error would end the process. Who waits for an answer is told by it.
    client.on('error', (error) => this.end(error));
  }

  /** Connects, once for all who ask. */
  connect(): Promise<unknown> {
    this.#connected ??= this.client.connect();
    return this.#connected;
  }

  end(failure: Error): void {
    this.failure ??= failure;
    if (this.client.isOpen) this.client.destroy();
  }
}

/** Keys that clean() looks at in one go; Redis serves nobody else meanwhile. */
const BATCH = 500;

/**
 * A greylist in Redis 6 or later, by the optional package `redis`. All hosts that use the same Redis and prefix share what they
 * know; their clocks must agree to a few seconds. Redis forgets by itself what is over, so that `clean()` has little to do.
 *
 * It connects with the first check. Where Redis is away, a check fails at once or after `timeout`, and the next one connects
 * again; nothing is kept to be sent later.
 */
export class RedisStore implements GreylistStore {
  readonly #newConnection: () => Connection;
  readonly #where: string;
  readonly #prefix: string;
  readonly #timeout: number;
  /** Checks that have no answer yet. */
  readonly #pending = new Set<Promise<unknown>>();
  #connection: Connection;
  #closed = false;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for options that make no sense
   */
  constructor(options: RedisStoreOptions = {}) {
    checkOptions('RedisStore', options, OPTIONS);
    const { client = {}, prefix = 'tsmilter:greylist:', timeout = 2000 } = options;
    // The package takes host and port of a URL even where a socket's path is given.
    const url = options.url ?? (client.socket ? undefined : 'redis://127.0.0.1:6379');
    checkText('RedisStore: url', url ?? '');
    checkText('RedisStore: prefix', prefix);
    checkInteger('RedisStore: timeout', timeout, 1);
    const { createClient } = loadPackage(
      'redis',
      'RedisStore',
      () => require('redis') as typeof import('redis'),
    );
    this.#where = url === undefined ? '' : ` at ${withoutPassword(url)}`;
    this.#prefix = prefix;
    this.#timeout = timeout;
    // Reconnecting is done here, with the next check: the package's own way has no end that a check could wait for.
    const socket = {
      ...(client.socket as object | undefined),
      connectTimeout: timeout,
      reconnectStrategy: false,
    };
    const clientOptions = { ...(url !== undefined && { url }), ...client, socket } as object;
    this.#newConnection = () => new Connection(createClient(clientOptions) as unknown as Client);
    try {
      this.#connection = this.#newConnection(); // connects later, but understands its options now
    } catch (error) {
      // without its cause, which quotes the URL and the password in it
      throw badArgument(`RedisStore: url or client: ${(error as Error).message}`);
    }
  }

  async check(triple: Triple, now: number, rules: Rules): Promise<number> {
    // A digest: keys are short, whatever a stranger calls himself, and say nothing about who writes to whom.
    const keys = [this.#prefix + digestOf(...triple)];
    const args = [now, rules.delay, rules.window, rules.lifetime].map(String);
    return this.#ask((client) => client.eval(CHECK, { keys, arguments: args }) as Promise<number>);
  }

  /** As {@link GreylistStore.clean}; `timeout` counts for each batch of keys. */
  async clean(now: number, { window, lifetime }: Rules): Promise<number> {
    const MATCH = `${this.#prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    const args = [now, window, lifetime].map(String);
    let removed = 0;
    let cursor = '0';
    do {
      removed += await this.#ask(async (client) => {
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

  async #ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    if (this.#closed) throw this.#error(new Error('the store is closed'));
    if (this.#connection.failure) this.#connection = this.#newConnection();
    const connection = this.#connection;
    const answer = this.#inTime(connection.connect().then(() => question(connection.client)));
    this.#pending.add(answer);
    try {
      return await answer;
    } catch (error) {
      // A reply such as "out of memory" comes over a connection that is in order; after all else it is made anew.
      if (isReply(error)) throw this.#error(error as Error);
      connection.end(error as Error);
      throw this.#error(connection.failure ?? (error as Error));
    } finally {
      this.#pending.delete(answer);
    }
  }

  #error(cause: Error): MilterError {
    const message = `greylist in Redis${this.#where}: ${cause.message || String(cause)}`;
    return new MilterError('ERR_MILTER_STORE', message, { cause });
  }

  async #inTime<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${this.#timeout} ms`)), this.#timeout);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether Redis has answered, with an error that another connection would answer with as well. */
function isReply(error: unknown): boolean {
  const { ErrorReply } = require('redis') as typeof import('redis');
  // READONLY: this one serves no more; its name may lead to another by now.
  return error instanceof ErrorReply && !error.message.startsWith('READONLY');
}

/** For messages. */
function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
