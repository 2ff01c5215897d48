/** Stores with many entries, written faster than through the package. */
import Sqlite from 'better-sqlite3';

/** Adds triples whose first attempt was at `time` to a greylist's file. */
export async function fillTriples(file: string, count: number, time: number): Promise<void> {
  const database = new Sqlite(file);
  // Scattered keys, as digests and addresses of real clients are.
  database
    .prepare(`
      WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter WHERE n < ? - 1)
      INSERT INTO triples
        SELECT printf('10.%d.%d.%d', (n * 7919) % 251, n % 253, n % 241), 'sender' || n || '@example.com', 'bob@example.net', ?, ?, 0
        FROM counter
    `)
    .run(count, time, time);
  database.close();
}
