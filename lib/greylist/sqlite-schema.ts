/** The tables of a greylist in SQLite, and the statements on them. */
import { countRows, type SqliteFormat } from '../internal/stores/sqlite-file.js';

/** Times are milliseconds since 1970. The indexes serve clean() and the removal of the oldest rows. */
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
  ${countRows(['triples', 'clients'])}
`;

/** The file of a greylist. Version 1 had neither clients nor totals. */
export const FORMAT: SqliteFormat = {
  owner: 'SqliteStore',
  contents: 'greylist',
  id: 0,
  table: 'triples',
  version: 2,
  schema: SCHEMA,
};

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
