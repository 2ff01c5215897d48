/** A greylist in an SQLite file, for one machine. */
import type { Database, Statement } from 'better-sqlite3';
import { digestOf } from '../internal/stores/digest.js';
import { SqliteFile } from '../internal/stores/sqlite-file.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { type ClientRecord, isWhitelisted, recordPass } from './client-record.js';
import { type Rules, recordAttempt, type TripleRecord } from './rules.js';
import { FORMAT, SQL } from './sqlite-schema.js';
import type { GreylistStore, Triple } from './store.js';

/** Options and limits of the file. */
export interface SqliteStoreOptions {
  /**
   * Milliseconds to wait while another process has locked the file. Only the constructor blocks the JS thread for that time.
   * Default: 1,000.
   */
  readonly timeout?: number;
  /**
   * Maximum length of an address; a longer one is stored as a digest, so that untrusted addresses cannot fill the disk.
   * Default: 320.
   */
  readonly maxLength?: number;
  /**
   * Maximum number of triples in the file, and of clients. If there are more, the oldest are removed, beginning with triples
   * that were never accepted. Keeps a flood of addresses from filling the disk. Default: 1,000,000.
   */
  readonly maxEntries?: number;
}

const OPTIONS: OptionNames<SqliteStoreOptions> = {
  timeout: true,
  maxLength: true,
  maxEntries: true,
};

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Rows that one step of clean() removes. Each costs a few microseconds, and sessions are served between the steps. */
const CLEAN_BATCH = 250;
/** Rows that may be removed for a new one while there are more than maxEntries. */
const SURPLUS_BATCH = 10;

/**
 * A greylist in an SQLite file, using the optional package `better-sqlite3`. Several processes and worker threads of one
 * machine can use the same file, but not over a network file system.
 *
 * A crash of the filter loses no data. A crash of the machine may lose about the last second, so that some senders are
 * deferred once more, but it does not damage the file.
 */
export class SqliteStore implements GreylistStore {
  readonly #file: SqliteFile;
  readonly #maxLength: number;
  readonly #maxEntries: number;
  readonly #statements: Statements;
  readonly #check: (triple: Triple, now: number, rules: Rules) => number;

  /**
   * Opens the file, or creates it in an existing directory. The umask of the process determines who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used
   */
  constructor(file: string, options: SqliteStoreOptions = {}) {
    checkWord('SqliteStore: file', file);
    checkOptions('SqliteStore', options, OPTIONS);
    const { timeout = 1000, maxLength = 320, maxEntries = 1_000_000 } = options;
    checkInteger('SqliteStore: timeout', timeout, 0);
    checkInteger('SqliteStore: maxLength', maxLength, 1);
    checkInteger('SqliteStore: maxEntries', maxEntries, 1);
    this.#maxLength = maxLength;
    this.#maxEntries = maxEntries;
    this.#file = new SqliteFile(file, timeout, FORMAT);
    const { database } = this.#file;
    this.#statements = statementsOf(database);
    // An immediate transaction, because one that begins with a read fails to write if another process has written meanwhile.
    this.#check = database.transaction(this.#recordAttempt.bind(this)).immediate;
  }

  async check(triple: Triple, now: number, rules: Rules): Promise<number> {
    const [ip, sender, recipient] = triple;
    const bounded: Triple = [this.#bounded(ip), this.#bounded(sender), this.#bounded(recipient)];
    return this.#file.run(() => this.#check(bounded, now, rules));
  }

  /** Removes the triples in small steps, and leaves half of the time to sessions and to other processes. */
  async clean(now: number, { window, lifetime }: Rules): Promise<number> {
    const { triplesByAge, clientsByAge } = this.#statements;
    const limit = CLEAN_BATCH;
    let removed = 0;
    for (const [accepted, from, to] of [
      [0, Number.MIN_SAFE_INTEGER, now - window],
      [0, now + 1, Number.MAX_SAFE_INTEGER],
      [1, Number.MIN_SAFE_INTEGER, now - lifetime],
    ] as const) {
      removed += await this.#file.removeAll(
        limit,
        () => triplesByAge.run({ accepted, from, to, limit }).changes,
      );
    }
    await this.#file.removeAll(limit, () => clientsByAge.run({ to: now - lifetime, limit }).changes);
    return removed;
  }

  async close(): Promise<void> {
    this.#file.close();
  }

  #recordAttempt(triple: Triple, now: number, rules: Rules): number {
    const { findClient, storeClient, findTriple, storeTriple } = this.#statements;
    const [ip] = triple;
    const client = rules.autoWhitelist > 0 ? findClient.get(ip) : undefined;
    if (client !== undefined && isWhitelisted(client, now, rules)) {
      storeClient.run(ip, client.passes, client.counted, Math.max(client.seen, now));
      return client.passes;
    }
    const known = findTriple.get(...triple);
    const record = recordAttempt(known, now, rules);
    if (record !== known) storeTriple.run(...triple, record.first, record.last, record.count);
    if (known === undefined) this.#removeSurplus('triples');
    if (record.count === 1 && rules.autoWhitelist > 0) {
      const passed = recordPass(client, now, rules);
      if (passed !== client) storeClient.run(ip, passed.passes, passed.counted, passed.seen);
      if (client === undefined) this.#removeSurplus('clients');
    }
    return record.count;
  }

  /** Removes a few rows for each new one, so that no check has to remove many. */
  #removeSurplus(table: 'triples' | 'clients'): void {
    const { count, oldestTriples, oldestClients } = this.#statements;
    const surplus = (count.get(table) as number) - this.#maxEntries;
    const oldest = table === 'triples' ? oldestTriples : oldestClients;
    if (surplus > 0) oldest.run(Math.min(surplus, SURPLUS_BATCH));
  }

  /**
   * An address as it is stored: a digest if it is too long, or has bytes that are not UTF-8. Those are lone surrogates here, and
   * SQLite cannot store them as text.
   */
  #bounded(text: string): string {
    const fits = text.length <= this.#maxLength && !LONE_SURROGATE.test(text);
    return fits ? text : `sha256:${digestOf(text)}`;
  }
}

type Statements = ReturnType<typeof statementsOf>;

function statementsOf(database: Database) {
  return {
    findTriple: database.prepare<string[], TripleRecord>(SQL.findTriple),
    storeTriple: database.prepare<(string | number)[]>(SQL.storeTriple),
    findClient: database.prepare<[string], ClientRecord>(SQL.findClient),
    storeClient: database.prepare<(string | number)[]>(SQL.storeClient),
    count: database.prepare<[string]>(SQL.count).pluck() as Statement<[string]>,
    oldestTriples: database.prepare<[number]>(SQL.oldestTriples),
    oldestClients: database.prepare<[number]>(SQL.oldestClients),
    triplesByAge: database.prepare<object>(SQL.triplesByAge),
    clientsByAge: database.prepare<object>(SQL.clientsByAge),
  };
}
