/** Stores with many entries, written faster than through the package. */
import Sqlite from 'better-sqlite3';

/** Runs one statement on an SQLite file. */
function run(file: string, statement: string, ...values: unknown[]): void {
  const database = new Sqlite(file);
  database.prepare(statement).run(...values);
  database.close();
}

/** Adds triples whose first attempt was at `time` to a greylist's file. */
export async function fillTriples(file: string, count: number, time: number): Promise<void> {
  const statement = `
    WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < ? - 1)
    INSERT INTO triples
      SELECT printf('10.%d.%d.%d', n >> 16, (n >> 8) & 255, n & 255), ? || n || '@example.com', 'bob@example.net', ?, ?, 0
      FROM counter
  `;
  run(file, statement, count, `sender-${time}-`, time, time);
}

/** Adds records of one message each, the last one at `time`, to a file of reputations. */
export async function fillReputation(file: string, count: number, time: number): Promise<void> {
  const statement = `
    WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < ?)
    INSERT INTO records SELECT ? || n || '.example:pass', 'host', ? + n, 'Dzli' FROM counter
  `;
  run(file, statement, count, `d${time}-`, time - count);
}

/** Adds counters of one point each, which end at `end`, to a file of rate limits. */
export async function fillRateLimits(file: string, count: number, end: number): Promise<void> {
  const statement = `
    WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < ?)
    INSERT INTO counters (key, points, expire) SELECT 'sender:hour:' || ? || n, 1, ? FROM counter
  `;
  run(file, statement, count, `${end}-`, end);
}
