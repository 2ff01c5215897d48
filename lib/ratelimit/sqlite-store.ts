/** Rate limits in an SQLite file, for one machine. */
import type { Statement } from 'better-sqlite3';
import { RateLimiterSQLite } from 'rate-limiter-flexible';
import { countRows, SqliteFile, type SqliteFormat } from '../internal/stores/sqlite-file.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import type { Counter, CounterOptions, RateLimitStore } from './store.js';

/** Options and limits of the file. */
export interface SqliteRateLimitStoreOptions {
  /**
   * Milliseconds to wait while another process has locked the file. Only the constructor blocks the JS thread for that time.
   * Default: 1,000.
   */
  readonly timeout?: number;
  /**
   * Maximum number of counters in the file: one for each name and limit. If there are more, the oldest are removed, beginning with
   * those of few points, so that a flood of made-up names does not displace those who send much. A counter has about 150 bytes.
   * Default: 1,000,000.
   */
  readonly maxEntries?: number;
}

const OPTIONS: OptionNames<SqliteRateLimitStoreOptions> = { timeout: true, maxEntries: true };

/** Whether a counter has more than a few points. The index and the statement must have the same text. */
const MANY = 'points > 3';

/**
 * The table has the columns that rate-limiter-flexible uses; `expire` is in milliseconds since 1970. Rows are numbered in the order in
 * which they were made.
 */
const SCHEMA = `
  CREATE TABLE counters (key TEXT NOT NULL PRIMARY KEY, points INTEGER NOT NULL DEFAULT 0, expire INTEGER);
  CREATE INDEX counters_by_end ON counters (expire);
  CREATE INDEX counters_by_points ON counters (${MANY});
  ${countRows(['counters'])}
`;

const FORMAT: SqliteFormat = {
  owner: 'SqliteRateLimitStore',
  contents: 'rate limits',
  // "tmRl"
  id: 0x746d526c,
  table: 'counters',
  version: 1,
  schema: SCHEMA,
};

const SQL = {
  count: "SELECT total FROM totals WHERE name = 'counters'",
  removeEnded:
    'DELETE FROM counters WHERE rowid IN (SELECT rowid FROM counters WHERE expire <= ? ORDER BY expire LIMIT ?)',
  removeOldest: `
    DELETE FROM counters WHERE rowid IN (SELECT rowid FROM counters ORDER BY ${MANY}, rowid LIMIT ?)
  `,
  remove: 'DELETE FROM counters WHERE key = ?',
} as const;

/** Rows that may be removed with each change: one more than it adds, so that the file shrinks, but never many at once. */
const REMOVE_BATCH = 2;

/**
 * Rate limits in an SQLite file, using the optional package `better-sqlite3`. Several processes and worker threads of one machine can
 * use the same file, but not over a network file system. Counters whose window has ended are removed as others are changed.
 */
export class SqliteRateLimitStore implements RateLimitStore {
  readonly #file: SqliteFile;
  readonly #client: LimiterClient;
  readonly #remove: Statement<[string]>;

  /**
   * Opens the file, or creates it in an existing directory. The umask of the process determines who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used;
   *   ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(file: string, options: SqliteRateLimitStoreOptions = {}) {
    checkWord('SqliteRateLimitStore: file', file);
    checkOptions('SqliteRateLimitStore', options, OPTIONS);
    const { timeout = 1000, maxEntries = 1_000_000 } = options;
    checkInteger('SqliteRateLimitStore: timeout', timeout, 0);
    checkInteger('SqliteRateLimitStore: maxEntries', maxEntries, 1);
    this.#file = new SqliteFile(file, timeout, FORMAT);
    this.#client = new LimiterClient(this.#file, maxEntries);
    this.#remove = this.#file.database.prepare(SQL.remove);
  }

  counter(options: CounterOptions): Counter {
    const limiter = new RateLimiterSQLite({
      ...options,
      storeClient: this.#client,
      storeType: 'better-sqlite3',
      tableName: 'counters',
      tableCreated: true,
    });
    return {
      penalty: (key, points) => limiter.penalty(key, points),
      reward: (key, points) => limiter.reward(key, points),
      // The package would do this without a transaction, and fail while the file is locked.
      delete: (key) => this.#file.run(() => this.#remove.run(limiter.getKey(key)).changes > 0),
    };
  }

  async close(): Promise<void> {
    this.#file.close();
  }
}

/**
 * What rate-limiter-flexible uses of a database. Statements are prepared once, and transactions wait for locks without blocking the
 * thread; each removes some of the counters that have ended or are too many.
 */
class LimiterClient {
  readonly #file: SqliteFile;
  readonly #maxEntries: number;
  readonly #statements = new Map<string, Statement>();
  readonly #runImmediate: (change: () => unknown) => unknown;

  constructor(file: SqliteFile, maxEntries: number) {
    this.#file = file;
    this.#maxEntries = maxEntries;
    this.#runImmediate = file.database.transaction((change: () => unknown) => {
      const result = change();
      this.#removeSome();
      return result;
    }).immediate;
  }

  prepare(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#file.database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  transaction(change: () => unknown): () => Promise<unknown> {
    return () => this.#file.run(() => this.#runImmediate(change));
  }

  #removeSome(): void {
    this.prepare(SQL.removeEnded).run(Date.now(), REMOVE_BATCH);
    const { total } = this.prepare(SQL.count).get() as { total: number };
    const surplus = total - this.#maxEntries;
    if (surplus > 0) this.prepare(SQL.removeOldest).run(Math.min(surplus, REMOVE_BATCH));
  }
}
