/** Messages counted for aggregate reports in an SQLite file, for one machine. */
import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { loadPackage, missingPackage } from '../greylist/packages.js';
import { WriteQueue } from '../greylist/write-queue.js';
import { MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import type { ReportEntry, ReportPolicy, ReportRow } from './report-entry.js';
import type { DmarcReportStore, StoredReport } from './report-store.js';

/** Options and limits of the file. */
export interface SqliteReportStoreOptions {
  /** Seconds that a report covers; periods begin at multiples of it since 1970. Default: 86,400, a day (UTC). */
  readonly period?: number;
  /** Maximum number of rows in the file; messages that need another one are not counted. Default: 1,000,000. */
  readonly maxRows?: number;
  /** Maximum number of rows of one report, so that a report fits into memory and into a mail. Default: 20,000. */
  readonly maxRowsPerReport?: number;
  /** Milliseconds to wait while another process writes to the file. Default: 1,000. */
  readonly timeout?: number;
}

const OPTIONS: OptionNames<SqliteReportStoreOptions> = {
  period: true,
  maxRows: true,
  maxRowsPerReport: true,
  timeout: true,
};
const DAY = 86_400;
const SCHEMA_VERSION = 1;

// A report is a policy in a period. Policies and rows are JSON; a digest of a row finds the one in which a message counts.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS reports (
    id TEXT PRIMARY KEY, begin INTEGER NOT NULL, end INTEGER NOT NULL, policy TEXT NOT NULL, rows INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS rows (
    report TEXT NOT NULL, digest TEXT NOT NULL, row TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (report, digest)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS reports_by_end ON reports (end);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

interface ReportRecord {
  readonly id: string;
  readonly begin: number;
  readonly end: number;
  readonly policy: string;
}

/** Aggregate reports in the making, with the optional package better-sqlite3. Several processes may share the file. */
export class SqliteReportStore implements DmarcReportStore {
  readonly #file: string;
  readonly #options: Required<SqliteReportStoreOptions>;
  readonly #database: Database;
  readonly #queue: WriteQueue;
  readonly #count: (entry: ReportEntry, begin: number) => boolean;

  /**
   * Opens the file, or creates it in an existing folder. The umask of the process determines who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used;
   *   ERR_MILTER_BAD_ARGUMENT for a bad option
   */
  constructor(file: string, options: SqliteReportStoreOptions = {}) {
    checkWord('SqliteReportStore: file', file);
    checkOptions('SqliteReportStore', options, OPTIONS);
    this.#options = { period: DAY, maxRows: 1_000_000, maxRowsPerReport: 20_000, timeout: 1000, ...options };
    const { timeout, ...counts } = this.#options;
    checkInteger('SqliteReportStore: timeout', timeout, 0);
    for (const [name, value] of Object.entries(counts)) checkInteger(`SqliteReportStore: ${name}`, value, 1);
    this.#file = file;
    this.#queue = new WriteQueue(timeout);
    this.#database = openDatabase(file, timeout);
    this.#count = this.#database.transaction(this.#countEntry.bind(this)).immediate;
  }

  add(entry: ReportEntry, now: number): Promise<boolean> {
    const { period } = this.#options;
    const begin = Math.floor(now / 1000 / period) * period;
    return this.#write(() => this.#count(entry, begin));
  }

  next(now: number, after = ''): Promise<StoredReport | undefined> {
    return this.#write(() => {
      const found = this.#database
        .prepare('SELECT id, begin, end, policy FROM reports WHERE end < ? AND id > ? ORDER BY id LIMIT 1')
        .get(Math.floor(now / 1000), after) as ReportRecord | undefined;
      if (!found) return undefined;
      const { id, begin, end, policy } = found;
      const rows = this.#database
        .prepare('SELECT row, count FROM rows WHERE report = ? ORDER BY digest')
        .all(id) as { row: string; count: number }[];
      return {
        id,
        begin,
        end,
        policy: JSON.parse(policy) as ReportPolicy,
        rows: rows.map(({ row, count }) => ({ row: JSON.parse(row) as ReportRow, count })),
      };
    });
  }

  async remove(id: string): Promise<void> {
    const both = this.#database.transaction(() => {
      this.#database.prepare('DELETE FROM rows WHERE report = ?').run(id);
      this.#database.prepare('DELETE FROM reports WHERE id = ?').run(id);
    });
    await this.#write(() => both.immediate());
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #countEntry({ policy, row }: ReportEntry, begin: number): boolean {
    const policyText = JSON.stringify(policy);
    const rowText = JSON.stringify(row);
    const id = digestOf(`${begin} ${policyText}`);
    const digest = digestOf(rowText);
    const again = this.#database
      .prepare('UPDATE rows SET count = count + 1 WHERE report = ? AND digest = ?')
      .run(id, digest);
    if (again.changes > 0) return true;
    const { maxRows, maxRowsPerReport, period } = this.#options;
    const { total } = this.#database.prepare('SELECT coalesce(sum(rows), 0) AS total FROM reports').get() as {
      total: number;
    };
    const known = this.#database.prepare('SELECT rows FROM reports WHERE id = ?').get(id) as
      | { rows: number }
      | undefined;
    if (total >= maxRows || (known?.rows ?? 0) >= maxRowsPerReport) return false;
    this.#database
      .prepare('INSERT INTO reports VALUES (?, ?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET rows = rows + 1')
      .run(id, begin, begin + period - 1, policyText);
    this.#database.prepare('INSERT INTO rows VALUES (?, ?, ?, 1)').run(id, digest, rowText);
    return true;
  }

  async #write<T>(write: () => T): Promise<T> {
    try {
      return await this.#queue.run(write);
    } catch (error) {
      throw storeError(this.#file, error);
    }
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

function openDatabase(file: string, timeout: number): Database {
  const Sqlite = loadPackage(
    'better-sqlite3',
    'SqliteReportStore',
    () => require('better-sqlite3') as typeof import('better-sqlite3'),
  );
  let database: Database;
  try {
    database = new Sqlite(file, { timeout });
  } catch (error) {
    // The constructor loads the native part of the package. Its errors differ from those of SQLite and of wrong paths.
    const { code, message } = error as NodeJS.ErrnoException;
    const native = code === 'ERR_DLOPEN_FAILED' || message.startsWith('Could not locate the bindings file');
    throw native ? missingPackage('better-sqlite3', 'SqliteReportStore', error) : storeError(file, error);
  }
  try {
    prepare(database);
  } catch (error) {
    database.close();
    throw storeError(file, error);
  }
  return database;
}

function prepare(database: Database): void {
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  const version = database.pragma('user_version', { simple: true }) as number;
  if (version > SCHEMA_VERSION) {
    throw new Error(`its schema version ${version} needs a newer version of tsmilter`);
  }
  if (version < SCHEMA_VERSION) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
  database.pragma('busy_timeout = 0'); // from now on WriteQueue waits
}

function storeError(file: string, error: unknown): MilterError {
  const { message } = error as Error;
  return new MilterError('ERR_MILTER_STORE', `DMARC reports ${file}: ${message}`, { cause: error });
}
