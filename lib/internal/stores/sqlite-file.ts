/** An SQLite file that several processes share. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { MilterError } from '../errors.js';
import { loadPackage, missingPackage } from './packages.js';
import { WriteQueue } from './write-queue.js';

/** What a file contains, and for whom. */
export interface SqliteFormat {
  /** The class that the user has constructed, such as `SqliteStore`; for messages. */
  readonly owner: string;
  /** What the file contains, such as `greylist`; for messages. */
  readonly contents: string;
  /** Tells the files of different stores apart (`application_id`); 0 for those that had none from the beginning. */
  readonly id: number;
  /** A table that files of every version have. */
  readonly table: string;
  /** The version of the schema, stored as `user_version`. A newer one is an error. */
  readonly version: number;
  /** Statements that create the tables, or those that a file of an older version lacks. */
  readonly schema: string;
}

/**
 * An open file, using the optional package `better-sqlite3`. Several processes and worker threads of one machine can use the same
 * file, but not over a network file system. A crash of the process loses no data; a crash of the machine may lose about the last
 * second.
 */
export class SqliteFile {
  readonly database: Database;
  readonly #where: string;
  readonly #queue: WriteQueue;

  /**
   * Opens the file, or creates it in an existing directory. The umask of the process determines who can read it.
   *
   * @param timeout milliseconds to wait while another process has locked the file; only here the JS thread is blocked meanwhile
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE if the file cannot be used
   */
  constructor(file: string, timeout: number, format: SqliteFormat) {
    this.#where = `${format.contents} ${file}`;
    this.#queue = new WriteQueue(timeout);
    this.database = this.#open(file, timeout, format.owner);
    try {
      prepare(this.database, format);
    } catch (error) {
      this.database.close();
      throw this.error(error);
    }
  }

  /**
   * Runs what reads or writes, at once or as soon as the file is not locked any more.
   *
   * @param write is called again after it has failed because the file was locked
   * @throws MilterError ERR_MILTER_STORE with the error of SQLite as its cause
   */
  async run<T>(write: () => T): Promise<T> {
    try {
      return await this.#queue.run(write);
    } catch (error) {
      throw this.error(error);
    }
  }

  /**
   * Repeats a step that removes at most `batch` rows until there are no more. Half of the time is left to sessions and to other
   * processes.
   *
   * @param step returns the number of rows that it has removed
   * @returns the number of rows removed
   */
  async removeAll(batch: number, step: () => number): Promise<number> {
    for (let removed = 0; ; ) {
      let took = 0;
      const count = await this.run(() => {
        const begin = performance.now();
        const changes = step();
        took = performance.now() - begin;
        return changes;
      });
      removed += count;
      if (count < batch) return removed;
      await sleep(Math.ceil(took));
    }
  }

  /** Closes the file. Closing it again has no effect. */
  close(): void {
    try {
      this.database.close();
    } catch (error) {
      throw this.error(error);
    }
  }

  error(error: unknown): MilterError {
    const { message } = error as Error;
    return new MilterError('ERR_MILTER_STORE', `${this.#where}: ${message}`, { cause: error });
  }

  #open(file: string, timeout: number, owner: string): Database {
    const Sqlite = loadPackage(
      'better-sqlite3',
      owner,
      () => require('better-sqlite3') as typeof import('better-sqlite3'),
    );
    try {
      return new Sqlite(file, { timeout });
    } catch (error) {
      // The constructor loads the native part of the package. Its errors differ from those of SQLite and of wrong paths.
      const { code, message } = error as NodeJS.ErrnoException;
      const native = code === 'ERR_DLOPEN_FAILED' || message.startsWith('Could not locate the bindings file');
      throw native ? missingPackage('better-sqlite3', owner, error) : this.error(error);
    }
  }
}

function prepare(database: Database, format: SqliteFormat): void {
  // Before anything of the file is changed: it may be that of another program.
  const isComplete = database.transaction(hasTables)(database, format);
  // In WAL mode, readers and a writer do not block each other; with synchronous = NORMAL, a write does not wait for the disk.
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  if (!isComplete) createTables(database, format);
  // From now on WriteQueue waits for locks, without blocking the thread.
  database.pragma('busy_timeout = 0');
}

/**
 * Whether a file has the tables already. A database of another program need not say whose it is, so only an empty one is new.
 *
 * @throws Error for a file of something else, or of a later version
 */
function hasTables(database: Database, { contents, id, table, version }: SqliteFormat): boolean {
  const stored = (name: string) => database.pragma(name, { simple: true }) as number;
  const has = (condition: string) =>
    database.prepare(`SELECT 1 FROM sqlite_schema WHERE ${condition}`).get() !== undefined;
  const isNew = !has('true');
  if (!isNew && (stored('application_id') !== id || !has(`type = 'table' AND name = '${table}'`)))
    throw new Error(`is not a file of ${contents}`);
  if (stored('user_version') > version)
    throw new Error(`its schema version ${stored('user_version')} needs a newer version of tsmilter`);
  return !isNew && stored('user_version') === version;
}

/** Another process may create the tables at the same moment, so the version is read again under the lock. */
function createTables(database: Database, format: SqliteFormat): void {
  const { id, version, schema } = format;
  const create = () => {
    if (hasTables(database, format)) return;
    database.exec(`${schema}; PRAGMA application_id = ${id}; PRAGMA user_version = ${version};`);
  };
  database.transaction(create).immediate();
}

/**
 * Statements that count the rows of tables in the table `totals` by triggers, because counting a million rows would block the JS
 * thread. A row must be changed by an upsert, as INSERT OR REPLACE would count it as a new one.
 */
export function countRows(tables: readonly string[]): string {
  const trigger = (table: string, event: string, change: string) => `
    CREATE TRIGGER ${table}_${event} AFTER ${event} ON ${table} BEGIN
      UPDATE totals SET total = total ${change} WHERE name = '${table}';
    END;
  `;
  return `
    CREATE TABLE totals (name TEXT NOT NULL PRIMARY KEY, total INTEGER NOT NULL) WITHOUT ROWID;
    ${tables.map((table) => `INSERT INTO totals VALUES ('${table}', (SELECT count(*) FROM ${table}));`).join('')}
    ${tables.map((table) => trigger(table, 'insert', '+ 1') + trigger(table, 'delete', '- 1')).join('')}
  `;
}
