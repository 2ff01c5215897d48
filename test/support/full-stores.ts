/** Stores with many entries, written faster than through the package. */
import Sqlite from 'better-sqlite3';

/** Adds triples whose first attempt was at `time` to a greylist's file. */
export async function fillTriples(file: string, count: number, time: number): Promise<void> {
  const database = new Sqlite(file);
  database
    .prepare(`
      WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < ? - 1)
      INSERT INTO triples
        SELECT printf('10.%d.%d.%d', n >> 16, (n >> 8) & 255, n & 255), ? || n || '@example.com', 'bob@example.net', ?, ?, 0
        FROM counter
    `)
    .run(count, `sender-${time}-`, time, time);
  database.close();
}
