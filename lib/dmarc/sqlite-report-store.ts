/** Messages counted for aggregate reports in an SQLite file, for one machine. */
import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { SqliteFile, type SqliteFormat } from '../internal/stores/sqlite-file.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import type { ReportEntry, ReportPolicy, ReportRow } from './report-entry.js';
import { checkReportLimits, type ReportLimits } from './report-limits.js';
import type { DmarcReportStore, StoredReport } from './report-store.js';

/** Options and limits of the file. */
export interface SqliteReportStoreOptions extends Partial<ReportLimits> {
  /** Milliseconds to wait while another process writes to the file. Default: 1,000. */
  readonly timeout?: number;
}

const OPTIONS: OptionNames<SqliteReportStoreOptions> = {
  period: true,
  maxRows: true,
  maxRowsPerReport: true,
  timeout: true,
};

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
`;

const FORMAT: SqliteFormat = {
  owner: 'SqliteReportStore',
  contents: 'DMARC reports',
  id: 0,
  table: 'reports',
  version: 1,
  schema: SCHEMA,
};

interface ReportRecord {
  readonly id: string;
  readonly begin: number;
  readonly end: number;
  readonly policy: string;
}

/** Aggregate reports in the making, with the optional package better-sqlite3. Several processes may share the file. */
export class SqliteReportStore implements DmarcReportStore {
  readonly #file: SqliteFile;
  readonly #limits: ReportLimits;
  readonly #database: Database;
  readonly #count: (entry: ReportEntry, begin: number) => boolean;

  /**
   * Opens the file, or creates it in an existing directory. The umask of the process determines who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used;
   *   ERR_MILTER_BAD_ARGUMENT for a bad option
   */
  constructor(file: string, options: SqliteReportStoreOptions = {}) {
    checkWord('SqliteReportStore: file', file);
    checkOptions('SqliteReportStore', options, OPTIONS);
    const { timeout = 1000, ...limits } = options;
    checkInteger('SqliteReportStore: timeout', timeout, 0);
    this.#limits = checkReportLimits('SqliteReportStore', limits);
    this.#file = new SqliteFile(file, timeout, FORMAT);
    this.#database = this.#file.database;
    this.#count = this.#database.transaction(this.#countEntry.bind(this)).immediate;
  }

  add(entry: ReportEntry, now: number): Promise<boolean> {
    const { period } = this.#limits;
    const begin = Math.floor(now / 1000 / period) * period;
    return this.#file.run(() => this.#count(entry, begin));
  }

  next(now: number, after = ''): Promise<StoredReport | undefined> {
    return this.#file.run(() => {
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
    await this.#file.run(() => both.immediate());
  }

  async close(): Promise<void> {
    this.#file.close();
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
    const { maxRows, maxRowsPerReport, period } = this.#limits;
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
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
