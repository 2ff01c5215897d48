/** A greylist in a file, for one machine. */
import type { Database, Statement } from 'better-sqlite3';
import { MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from '../internal/validate.js';
import { loadPackage, missing } from './packages.js';
import { afterTry, type Known, type Rules } from './rules.js';
import { digestOf, type GreylistStore, type Triple } from './store.js';

/** How the file is used. */
export interface SqliteStoreOptions {
  /** Milliseconds to wait for another process that writes to the file; the JS thread waits. Default: 1,000. */
  readonly timeout?: number;
  /**
   * Characters of an address that are kept as they are; a digest stands for a longer one. Keeps a stranger's addresses from
   * filling the disk. Default: 320.
   */
  readonly maxLength?: number;
  /**
   * Triples in the file. When there are more, those that were never let in go first, the oldest of them before others.
   * Looked at after every hundredth part of so many new ones. Keeps a flood of addresses from filling the disk.
   * Default: 1,000,000.
   */
  readonly maxEntries?: number;
}

const OPTIONS: OptionNames<SqliteStoreOptions> = {
  timeout: true,
  maxLength: true,
  maxEntries: true,
};

/** The layout of the file, in its user_version. */
const LAYOUT = 1;

// `first` and `last` are milliseconds since 1970. The index is for clean() and for making room.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS triples (
    ip TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (ip, sender, recipient)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS triples_by_age ON triples (count > 0, last);
  PRAGMA user_version = ${LAYOUT};
`;

const FIND = 'SELECT first, last, count FROM triples WHERE ip = ? AND sender = ? AND recipient = ?';
const KEEP = 'INSERT OR REPLACE INTO triples VALUES (?, ?, ?, ?, ?, ?)';
/** As isOver() has it. */
const CLEAN = `
  DELETE FROM triples WHERE
    (count > 0) = 0 AND (last <= @now - @window OR last > @now) OR
    (count > 0) = 1 AND last <= @now - @lifetime
`;
const COUNT = 'SELECT count(*) FROM triples';
const MAKE_ROOM = `
  DELETE FROM triples WHERE (ip, sender, recipient) IN
    (SELECT ip, sender, recipient FROM triples ORDER BY count > 0, last LIMIT ?)
`;

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * A greylist in an SQLite file, by the optional package `better-sqlite3`. Several processes and worker threads of one machine
 * may use the same file; not over a network file system.
 *
 * A crash of the filter loses nothing. A crash of the machine may lose the last second or so, never the file: the senders
 * are put off once more.
 */
export class SqliteStore implements GreylistStore {
  readonly #file: string;
  readonly #maxLength: number;
  readonly #maxEntries: number;
  readonly #database: Database;
  readonly #find: Statement<string[], Known>;
  readonly #keep: Statement<(string | number)[]>;
  readonly #try: (triple: Triple, now: number, rules: Rules) => number;
  #untilLook: number;

  /**
   * Opens the file, and makes it where it is not there; its folder must be. The process's umask decides who can read it.
   *
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without better-sqlite3; ERR_MILTER_STORE where the file cannot be used
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
    this.#untilLook = this.#newOnesUntilLook();
    this.#database = openDatabase(file, timeout);
    try {
      prepare(this.#database);
      this.#find = this.#database.prepare<string[], Known>(FIND);
      this.#keep = this.#database.prepare(KEEP);
    } catch (error) {
      this.#database.close();
      throw storeError(file, error);
    }
    // immediate: a transaction that only read so far cannot always go on to write when another process did meanwhile
    this.#try = this.#database.transaction(this.#noteTry.bind(this)).immediate;
  }

  async check(triple: Triple, now: number, rules: Rules): Promise<number> {
    const [ip, sender, recipient] = triple;
    const bounded: Triple = [this.#bounded(ip), this.#bounded(sender), this.#bounded(recipient)];
    return this.#guarded(() => this.#try(bounded, now, rules));
  }

  async clean(now: number, { window, lifetime }: Rules): Promise<number> {
    return this.#guarded(() => this.#database.prepare(CLEAN).run({ now, window, lifetime }).changes);
  }

  async close(): Promise<void> {
    this.#guarded(() => this.#database.close());
  }

  #noteTry(triple: Triple, now: number, rules: Rules): number {
    const known = this.#find.get(...triple);
    const record = afterTry(known, now, rules);
    if (record !== known) this.#keep.run(...triple, record.first, record.last, record.count);
    if (known === undefined && --this.#untilLook <= 0) this.#makeRoom();
    return record.count;
  }

  /** Counting reads the whole index, so it is not done for each new triple. */
  #newOnesUntilLook(): number {
    return Math.ceil(this.#maxEntries / 100);
  }

  #makeRoom(): void {
    this.#untilLook = this.#newOnesUntilLook();
    const count = this.#database.prepare(COUNT).pluck().get() as number;
    if (count > this.#maxEntries) this.#database.prepare(MAKE_ROOM).run(count - this.#maxEntries);
  }

  /** An address as it is kept. SQLite's text is UTF-8, which not every address is: bytes that are not came as lone surrogates. */
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
    // its native part is loaded here; SQLite's own errors, and wrong paths, look otherwise
    const { code, message } = error as NodeJS.ErrnoException;
    const native = code === 'ERR_DLOPEN_FAILED' || message.startsWith('Could not locate the bindings file');
    throw native ? missing('better-sqlite3', 'SqliteStore', error) : storeError(file, error);
  }
}

function prepare(database: Database): void {
  // Readers and a writer do not wait for each other, and a write does not wait for the disk.
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = NORMAL');
  const layout = database.pragma('user_version', { simple: true }) as number;
  if (layout > LAYOUT)
    throw new Error(`its layout ${layout} is that of a newer version of tsmilter; update this one`);
  if (layout < LAYOUT) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
}

function storeError(file: string, error: unknown): MilterError {
  const { message } = error as Error;
  return new MilterError('ERR_MILTER_STORE', `greylist ${file}: ${message}`, { cause: error });
}
