/** The tables of a greylist in SQLite, and the statements on them. */
import type { Database } from 'better-sqlite3';

/** The schema version, stored as user_version. Version 1 had neither clients nor totals. */
const SCHEMA_VERSION = 2;

/**
 * Times are milliseconds since 1970. The indexes serve clean() and the removal of the oldest rows. The totals are kept by
 * triggers, because counting a million rows would block the JS thread.
 */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS triples (
    ip TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (ip, sender, recipient)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS triples_by_age ON triples (count > 0, last);
  CREATE TABLE clients (
    ip TEXT NOT NULL PRIMARY KEY, passes INTEGER NOT NULL, counted INTEGER NOT NULL, seen INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX clients_by_age ON clients (seen);
  CREATE TABLE totals (name TEXT NOT NULL PRIMARY KEY, total INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO totals VALUES ('triples', (SELECT count(*) FROM triples)), ('clients', 0);
  ${['triples', 'clients'].map(triggersOf).join('')}
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

function triggersOf(table: string): string {
  const count = (event: string, change: string) => `
    CREATE TRIGGER ${table}_${event} AFTER ${event} ON ${table} BEGIN
      UPDATE totals SET total = total ${change} WHERE name = '${table}';
    END;
  `;
  return count('insert', '+ 1') + count('delete', '- 1');
}

/** The statements of the store. */
export const SQL = {
  findTriple: 'SELECT first, last, count FROM triples WHERE ip = ? AND sender = ? AND recipient = ?',
  // Not INSERT OR REPLACE, which would count a replaced row as a new one.
  storeTriple: `
    INSERT INTO triples VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET first = excluded.first, last = excluded.last, count = excluded.count
  `,
  findClient: 'SELECT passes, counted, seen FROM clients WHERE ip = ?',
  storeClient: `
    INSERT INTO clients VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET passes = excluded.passes, counted = excluded.counted, seen = excluded.seen
  `,
  count: 'SELECT total FROM totals WHERE name = ?',
  oldestTriples: `
    DELETE FROM triples WHERE (ip, sender, recipient) IN
      (SELECT ip, sender, recipient FROM triples ORDER BY count > 0, last LIMIT ?)
  `,
  oldestClients: 'DELETE FROM clients WHERE ip IN (SELECT ip FROM clients ORDER BY seen LIMIT ?)',
  triplesByAge: `
    DELETE FROM triples WHERE (ip, sender, recipient) IN (
      SELECT ip, sender, recipient FROM triples
        WHERE (count > 0) = @accepted AND last BETWEEN @from AND @to LIMIT @limit
    )
  `,
  clientsByAge: 'DELETE FROM clients WHERE ip IN (SELECT ip FROM clients WHERE seen <= @to LIMIT @limit)',
} as const;

/** Creates the tables in a new file, and those that a file of an older version lacks. @throws Error for a newer version */
export function createTables(database: Database): void {
  const version = () => database.pragma('user_version', { simple: true }) as number;
  if (version() > SCHEMA_VERSION)
    throw new Error(`its schema version ${version()} needs a newer version of tsmilter`);
  if (version() === SCHEMA_VERSION) return;
  // Another process may create the tables at the same moment, so the version is read again under the lock.
  database
    .transaction(() => {
      if (version() < SCHEMA_VERSION) database.exec(SCHEMA);
    })
    .immediate();
}
