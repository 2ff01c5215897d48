/** Addresses that are remembered in an SQLite file, for one machine. */
import type { Statement } from 'better-sqlite3';
import { countRows, SqliteFile, type SqliteFormat } from '../internal/stores/sqlite-file.js';
import {
  checkFunction,
  checkInteger,
  checkOptions,
  checkWord,
  type OptionNames,
} from '../internal/validate.js';
import { type AddressMemory, checkedEntries, keyOf } from './address-memory.js';

/** Options and limits of the file. */
export interface SqliteAddressMemoryOptions {
  /**
   * Milliseconds to wait while another process has locked the file. Only the constructor blocks the JS thread for that time.
   * Default: 1,000.
   */
  readonly timeout?: number;
  /** Maximum number of addresses; those whose time is over first are removed. An address takes about 150 bytes. Default: 1,000,000. */
  readonly maxEntries?: number;
  /** The clock, in milliseconds since 1970. Default: `Date.now`. */
  readonly now?: () => number;
}

const OPTIONS: OptionNames<SqliteAddressMemoryOptions> = { timeout: true, maxEntries: true, now: true };

const FORMAT: SqliteFormat = {
  owner: 'SqliteAddressMemory',
  contents: 'addresses',
  // "tmAd"
  id: 0x746d4164,
  table: 'addresses',
  version: 1,
  schema: `
    CREATE TABLE addresses (id TEXT NOT NULL PRIMARY KEY, ends INTEGER NOT NULL);
    CREATE INDEX addresses_by_end ON addresses (ends);
    ${countRows(['addresses'])}
  `,
};

const SQL = {
  add: 'INSERT INTO addresses (id, ends) VALUES (?, ?) ON CONFLICT DO UPDATE SET ends = max(ends, excluded.ends)',
  has: 'SELECT 1 FROM addresses WHERE id = ? AND ends > ?',
  count: "SELECT total FROM totals WHERE name = 'addresses'",
  removeFirst: 'DELETE FROM addresses WHERE rowid IN (SELECT rowid FROM addresses ORDER BY ends LIMIT ?)',
  removeEnded: 'DELETE FROM addresses WHERE rowid IN (SELECT rowid FROM addresses WHERE ends <= ? LIMIT ?)',
} as const;

/** Rows that one step of clean() removes. Sessions are served between the steps. */
const BATCH = 250;

/**
 * Addresses in an SQLite file, using the optional package `better-sqlite3`. Several processes and worker threads of one machine can use
 * the same file, but not over a network file system. A crash of the machine may lose about the last second.
 */
export class SqliteAddressMemory implements AddressMemory {
  readonly #file: SqliteFile;
  readonly #maxEntries: number;
  readonly #now: () => number;
  readonly #has: Statement<[string, number]>;
  readonly #removeEnded: Statement<[number, number]>;
  readonly #add: (keys: readonly string[], ends: number) => void;

  /**
   * Opens the file, or creates it in an existing directory. The umask of the process determines who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used;
   *   ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(file: string, options: SqliteAddressMemoryOptions = {}) {
    checkWord('SqliteAddressMemory: file', file);
    checkOptions('SqliteAddressMemory', options, OPTIONS);
    const { timeout = 1000, maxEntries = 1_000_000, now = Date.now } = options;
    checkInteger('SqliteAddressMemory: timeout', timeout, 0);
    checkInteger('SqliteAddressMemory: maxEntries', maxEntries, 1);
    checkFunction('SqliteAddressMemory: now', now);
    this.#maxEntries = maxEntries;
    this.#now = now;
    this.#file = new SqliteFile(file, timeout, FORMAT);
    const { database } = this.#file;
    this.#has = database.prepare(SQL.has);
    this.#removeEnded = database.prepare(SQL.removeEnded);
    const add = database.prepare<[string, number]>(SQL.add);
    const count = database.prepare<[], { total: number }>(SQL.count);
    const removeFirst = database.prepare<[number]>(SQL.removeFirst);
    this.#add = database.transaction((keys: readonly string[], ends: number) => {
      for (const key of keys) add.run(key, ends);
      const surplus = (count.get()?.total ?? 0) - this.#maxEntries;
      if (surplus > 0) removeFirst.run(surplus);
    }).immediate;
  }

  async add(addresses: readonly string[], days: number): Promise<void> {
    const { keys, ms } = checkedEntries(addresses, days);
    if (keys.length > 0) await this.#file.run(() => this.#add(keys, this.#now() + ms));
  }

  async has(address: string): Promise<boolean> {
    const key = keyOf(address);
    return this.#file.run(() => this.#has.get(key, this.#now()) !== undefined);
  }

  clean(): Promise<number> {
    return this.#file.removeAll(BATCH, () => this.#removeEnded.run(this.#now(), BATCH).changes);
  }

  async close(): Promise<void> {
    this.#file.close();
  }
}
