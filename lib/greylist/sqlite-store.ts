/** A greylist in an SQLite file, for one machine. */
import type { Database, Statement } from 'better-sqlite3';
import { MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { loadPackage, missingPackage } from './packages.js';
import { type Rules, recordAttempt, type TripleRecord } from './rules.js';
import { digestOf, type GreylistStore, type Triple } from './store.js';

/** Options and limits of the file. */
export interface SqliteStoreOptions {
  /** Milliseconds to wait while another process writes to the file. The wait blocks the JS thread. Default: 1,000. */
  readonly timeout?: number;
  /**
   * Maximum length of an address; a longer one is stored as a digest, so that untrusted addresses cannot fill the disk.
   * Default: 320.
   */
  readonly maxLength?: number;
  /**
   * Maximum number of triples in the file. If there are more, the oldest are removed, beginning with those that were never
   * accepted. It is checked whenever the number of new triples has reached a hundredth of this limit. Keeps a flood of
   * addresses from filling the disk. Default: 1,000,000.
   */
  readonly maxEntries?: number;
}

const OPTIONS: OptionNames<SqliteStoreOptions> = {
  timeout: true,
  maxLength: true,
  maxEntries: true,
};

/** The schema version, stored as user_version. */
const SCHEMA_VERSION = 1;

// `first` and `last` are milliseconds since 1970. The index serves clean() and the removal of the oldest triples.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS triples (
    ip TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (ip, sender, recipient)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS triples_by_age ON triples (count > 0, last);
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

const FIND = 'SELECT first, last, count FROM triples WHERE ip = ? AND sender = ? AND recipient = ?';
const STORE = 'INSERT OR REPLACE INTO triples VALUES (?, ?, ?, ?, ?, ?)';
/** The condition is that of isExpired(). */
const CLEAN = `
  DELETE FROM triples WHERE
    (count > 0) = 0 AND (last <= @now - @window OR last > @now) OR
    (count > 0) = 1 AND last <= @now - @lifetime
`;
const COUNT = 'SELECT count(*) FROM triples';
const DELETE_OLDEST = `
  DELETE FROM triples WHERE (ip, sender, recipient) IN
    (SELECT ip, sender, recipient FROM triples ORDER BY count > 0, last LIMIT ?)
`;

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * A greylist in an SQLite file, using the optional package `better-sqlite3`. Several processes and worker threads of one
 * machine can use the same file, but not over a network file system.
 *
 * A crash of the filter loses no data. A crash of the machine may lose about the last second, so that some senders are
 * deferred once more, but it does not damage the file.
 */
export class SqliteStore implements GreylistStore {
  readonly #file: string;
  readonly #maxLength: number;
  readonly #maxEntries: number;
  readonly #database: Database;
  readonly #find: Statement<string[], TripleRecord>;
  readonly #store: Statement<(string | number)[]>;
  readonly #check: (triple: Triple, now: number, rules: Rules) => number;
  /** New triples until maxEntries is checked. */
  #untilCount: number;

  /**
   * Opens the file, or creates it in an existing folder. The umask of the process determines who can read it.
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
    this.#file = file;
    this.#maxLength = maxLength;
    this.#maxEntries = maxEntries;
    this.#untilCount = this.#newTriplesPerCount();
    this.#database = openDatabase(file, timeout);
    try {
      prepare(this.#database);
      this.#find = this.#database.prepare<string[], TripleRecord>(FIND);
      this.#store = this.#database.prepare(STORE);
    } catch (error) {
      this.#database.close();
      throw storeError(file, error);
    }
    // An immediate transaction, because one that begins with a read fails to write if another process has written meanwhile.
    this.#check = this.#database.transaction(this.#recordAttempt.bind(this)).immediate;
  }

  async check(triple: Triple, now: number, rules: Rules): Promise<number> {
    const [ip, sender, recipient] = triple;
    const bounded: Triple = [this.#bounded(ip), this.#bounded(sender), this.#bounded(recipient)];
    return this.#guarded(() => this.#check(bounded, now, rules));
  }

  async clean(now: number, { window, lifetime }: Rules): Promise<number> {
    return this.#guarded(() => this.#database.prepare(CLEAN).run({ now, window, lifetime }).changes);
  }

  async close(): Promise<void> {
    this.#guarded(() => this.#database.close());
  }

  #recordAttempt(triple: Triple, now: number, rules: Rules): number {
    const known = this.#find.get(...triple);
    const record = recordAttempt(known, now, rules);
    if (record !== known) this.#store.run(...triple, record.first, record.last, record.count);
    if (known === undefined && --this.#untilCount <= 0) this.#deleteOldest();
    return record.count;
  }

  /** Counting reads the whole index, so it is not done for every new triple. */
  #newTriplesPerCount(): number {
    return Math.ceil(this.#maxEntries / 100);
  }

  #deleteOldest(): void {
    this.#untilCount = this.#newTriplesPerCount();
    const count = this.#database.prepare(COUNT).pluck().get() as number;
    if (count > this.#maxEntries) this.#database.prepare(DELETE_OLDEST).run(count - this.#maxEntries);
  }

  /**
   * An address as it is stored: a digest if it is too long, or has bytes that are not UTF-8. Those are lone surrogates here, and
   * SQLite cannot store them as text.
   */
  #bounded(text: string): string {
    const fits = text.length <= this.#maxLength && !LONE_SURROGATE.test(text);
    return fits ? text : `sha256:${digestOf(text)}`;
  }

  #guarded<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw storeError(this.#file, error);
    }
  }
}

function openDatabase(file: string, timeout: number): Database {
  const Sqlite = loadPackage(
    'better-sqlite3',
    'SqliteStore',
    () => require('better-sqlite3') as typeof import('better-sqlite3'),
  );
  try {
    return new Sqlite(file, { timeout });
  } catch (error) {
    // The constructor loads the native part of the package. Its errors differ from those of SQLite and of wrong paths.
    const { code, message } = error as NodeJS.ErrnoException;
    const native = code === 'ERR_DLOPEN_FAILED' || message.startsWith('Could not locate the bindings file');
    throw native ? missingPackage('better-sqlite3', 'SqliteStore', error) : storeError(file, error);
  }
}

function prepare(database: Database): void {
  // In WAL mode, readers and a writer do not block each other; with synchronous = NORMAL, a write does not wait for the disk.
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  const version = database.pragma('user_version', { simple: true }) as number;
  if (version > SCHEMA_VERSION)
    throw new Error(`its schema version ${version} needs a newer version of tsmilter`);
  if (version < SCHEMA_VERSION) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
}

function storeError(file: string, error: unknown): MilterError {
  const { message } = error as Error;
  return new MilterError('ERR_MILTER_STORE', `greylist ${file}: ${message}`, { cause: error });
}
