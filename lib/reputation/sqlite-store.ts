/** Reputations in an SQLite file, for one machine. */
import type { Database, Statement } from 'better-sqlite3';
import { countRows, SqliteFile, type SqliteFormat } from '../internal/stores/sqlite-file.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { appendOutcome } from './outcomes.js';
import { type HostRecord, isNewer, MAX_HOSTS, type ReputationEntry, type ReputationStore } from './store.js';

/** Options and limits of the file. */
export interface SqliteReputationStoreOptions {
  /**
   * Milliseconds to wait while another process has locked the file. Only the constructor blocks the JS thread for that time.
   * Default: 1,000.
   */
  readonly timeout?: number;
  /**
   * Maximum number of records in the file: one for each identity and host. If there are more, the oldest are removed, beginning with
   * those of less than five messages, so that a flood of made-up domains does not displace the others. A record has 60 bytes and more,
   * at most 4,500. Default: 1,000,000.
   */
  readonly maxEntries?: number;
}

const OPTIONS: OptionNames<SqliteReputationStoreOptions> = { timeout: true, maxEntries: true };

/** Whether a record has five messages or more. The index and the statements must have the same text. */
const ESTABLISHED = 'length(outcomes) > 16';

/** The long column is the last one, so that the others are read without it. The index serves clean() and the removal of the oldest. */
const SCHEMA = `
  CREATE TABLE records (
    id TEXT NOT NULL, host TEXT NOT NULL, changed INTEGER NOT NULL, outcomes TEXT NOT NULL,
    UNIQUE (id, host)
  );
  CREATE INDEX records_by_age ON records (${ESTABLISHED}, changed);
  ${countRows(['records'])}
`;

const FORMAT: SqliteFormat = {
  owner: 'SqliteReputationStore',
  contents: 'reputation',
  // "tmRp"
  id: 0x746d5270,
  table: 'records',
  version: 1,
  schema: SCHEMA,
};

const SQL = {
  findHost: 'SELECT changed, outcomes FROM records WHERE id = ? AND host = ?',
  findAll: 'SELECT changed, outcomes FROM records WHERE id = ?',
  store: `
    INSERT INTO records (id, host, changed, outcomes) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET changed = excluded.changed, outcomes = excluded.outcomes
  `,
  count: "SELECT total FROM totals WHERE name = 'records'",
  removeOldest: `
    DELETE FROM records WHERE rowid IN (SELECT rowid FROM records ORDER BY ${ESTABLISHED}, changed LIMIT ?)
  `,
  removeHosts: `
    DELETE FROM records WHERE rowid IN
      (SELECT rowid FROM records WHERE id = ? ORDER BY changed DESC, host LIMIT -1 OFFSET ${MAX_HOSTS})
  `,
  removeUntil: `
    DELETE FROM records WHERE rowid IN
      (SELECT rowid FROM records WHERE (${ESTABLISHED}) = ? AND changed <= ? LIMIT ?)
  `,
  // Two queries, because SQLite finds the minimum or the maximum without a scan, but not both.
  bounds:
    'SELECT coalesce((SELECT min(rowid) FROM records), 1), coalesce((SELECT max(rowid) FROM records), 0)',
  page: 'SELECT id, host, changed, outcomes FROM records WHERE rowid BETWEEN ? AND ? AND changed >= ?',
} as const;

/** Rows that one step of clean() removes, or of entries() reads. Sessions are served between the steps. */
const BATCH = 250;
/** Rows that may be removed for a new one while there are more than maxEntries. */
const SURPLUS_BATCH = 10;

/**
 * Reputations in an SQLite file, using the optional package `better-sqlite3`. Several processes and worker threads of one machine can
 * use the same file, but not over a network file system.
 *
 * A crash of the filter loses no data. A crash of the machine may lose about the last second, but it does not damage the file.
 */
export class SqliteReputationStore implements ReputationStore {
  readonly #maxEntries: number;
  readonly #file: SqliteFile;
  readonly #statements: Statements;
  readonly #record: (id: string, host: string, outcome: string, now: number, lifetime: number) => void;
  readonly #merge: (entries: readonly ReputationEntry[], oldest: number) => number;

  /**
   * Opens the file, or creates it in an existing directory. The umask of the process determines who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used;
   *   ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(file: string, options: SqliteReputationStoreOptions = {}) {
    checkWord('SqliteReputationStore: file', file);
    checkOptions('SqliteReputationStore', options, OPTIONS);
    const { timeout = 1000, maxEntries = 1_000_000 } = options;
    checkInteger('SqliteReputationStore: timeout', timeout, 0);
    checkInteger('SqliteReputationStore: maxEntries', maxEntries, 1);
    this.#maxEntries = maxEntries;
    this.#file = new SqliteFile(file, timeout, FORMAT);
    const { database } = this.#file;
    this.#statements = statementsOf(database);
    // Immediate transactions, because one that begins with a read fails to write if another process has written meanwhile.
    this.#record = database.transaction(this.#recordOutcome.bind(this)).immediate;
    this.#merge = database.transaction(this.#mergeEntries.bind(this)).immediate;
  }

  record(id: string, host: string, outcome: string, now: number, lifetime: number): Promise<void> {
    return this.#file.run(() => this.#record(id, host, outcome, now, lifetime));
  }

  find(id: string): Promise<readonly HostRecord[]> {
    return this.#file.run(() => this.#statements.findAll.all(id));
  }

  merge(entries: readonly ReputationEntry[], now: number, lifetime: number): Promise<number> {
    return this.#file.run(() => this.#merge(entries, now - lifetime));
  }

  async *entries(since: number): AsyncGenerator<ReputationEntry, void, void> {
    const { bounds, page } = this.#statements;
    const [first, last] = await this.#file.run(() => bounds.get() as [number, number]);
    // Ranges of row numbers instead of LIMIT, with which a step could pass any number of older rows.
    for (let from = first; from <= last; from += BATCH) {
      yield* await this.#file.run(() => page.all(from, from + BATCH - 1, since));
      await new Promise(setImmediate);
    }
  }

  async clean(until: number): Promise<number> {
    const { removeUntil } = this.#statements;
    let removed = 0;
    for (const established of [0, 1]) {
      removed += await this.#file.removeAll(BATCH, () => removeUntil.run(established, until, BATCH).changes);
    }
    return removed;
  }

  async close(): Promise<void> {
    this.#file.close();
  }

  #recordOutcome(id: string, host: string, outcome: string, now: number, lifetime: number): void {
    const known = this.#statements.findHost.get(id, host);
    const alive = known !== undefined && now - known.changed < lifetime;
    const changed = Math.max(now, (known?.changed ?? 0) + 1);
    const outcomes = appendOutcome(alive ? known.outcomes : '', outcome);
    this.#put({ id, host, changed, outcomes }, known === undefined);
  }

  #mergeEntries(entries: readonly ReputationEntry[], oldest: number): number {
    let merged = 0;
    for (const entry of entries) {
      if (entry.changed <= oldest) continue;
      const known = this.#statements.findHost.get(entry.id, entry.host);
      if (known !== undefined && !isNewer(entry, known)) continue;
      this.#put(entry, known === undefined);
      merged++;
    }
    return merged;
  }

  #put({ id, host, changed, outcomes }: ReputationEntry, isNew: boolean): void {
    const { store, removeHosts, count, removeOldest } = this.#statements;
    store.run(id, host, changed, outcomes);
    if (!isNew) return;
    removeHosts.run(id);
    // A few rows for each new one, so that nothing has to remove many at once.
    const surplus = (count.get() as number) - this.#maxEntries;
    if (surplus > 0) removeOldest.run(Math.min(surplus, SURPLUS_BATCH));
  }
}

type Statements = ReturnType<typeof statementsOf>;

function statementsOf(database: Database) {
  return {
    findHost: database.prepare<[string, string], HostRecord>(SQL.findHost),
    findAll: database.prepare<[string], HostRecord>(SQL.findAll),
    store: database.prepare<(string | number)[]>(SQL.store),
    count: database.prepare(SQL.count).pluck() as Statement<[]>,
    removeOldest: database.prepare<[number]>(SQL.removeOldest),
    removeHosts: database.prepare<[string]>(SQL.removeHosts),
    removeUntil: database.prepare<number[]>(SQL.removeUntil),
    bounds: database.prepare(SQL.bounds).raw(),
    page: database.prepare<number[], ReputationEntry>(SQL.page),
  };
}
