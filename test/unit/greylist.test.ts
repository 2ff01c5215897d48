/** tsmilter/greylist in an SQLite file. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import Sqlite from 'better-sqlite3';
import { Greylist, type GreylistOptions, MilterError, SqliteStore } from 'tsmilter/greylist';
import { loadPackage } from '#lib/greylist/packages.js';
import { projectRoot } from '../../tools/project-root';
import { errorWith, expectThat } from '../support/expect';
import { Clock, testStore } from '../support/greylist-table';

let dir = '';
let files = 0;
const newFile = () => join(dir, `${files++}.db`);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'greylist-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const DAY = 86_400_000;

const isError = (code: string, message: RegExp) => errorWith({ code, message }, MilterError);
const storeError = (message: RegExp) => isError('ERR_MILTER_STORE', message);

describe('a greylist in SQLite', () => {
  testStore(() => new SqliteStore(newFile()));

  /** @contract 35 */
  it('is the default', async () => {
    const file = newFile();
    await using greylist = new Greylist(file);
    expect(await greylist.check('192.0.2.1', 'a@example.com', 'b@example.com')).toBe(0);
    expect(existsSync(file)).toBe(true);
  });

  it('uses the system clock by default', async () => {
    await using greylist = new Greylist(newFile(), { delay: 0, grace: 0, window: 60_000, lifetime: 60_000 });
    expect(await greylist.check('192.0.2.1', 'a@example.com', 'b@example.com')).toBe(0);
    expect(await greylist.check('192.0.2.1', 'a@example.com', 'b@example.com')).toBe(1);
  });

  it('keeps its entries over a restart', async () => {
    const file = newFile();
    const clock = new Clock();
    const restarted = () => new Greylist(file, { now: clock.now });
    {
      await using greylist = restarted();
      expect(await greylist.check('192.0.2.1', 'a', 'b')).toBe(0);
    }
    clock.time += 3_600_000;
    await using greylist = restarted();
    expect(await greylist.check('192.0.2.1', 'a', 'b')).toBe(1);
  });

  it('may be used by several processes at once, from its first moment', async () => {
    const file = newFile();
    const program = `
      const { Greylist, SqliteStore } = require('tsmilter/greylist');
      let time = ${Date.UTC(2026, 0, 1)};
      (async () => {
        const store = new SqliteStore(${JSON.stringify(file)}, { timeout: 30000 });
        const greylist = new Greylist(store, { delay: 0, grace: 0, now: () => time });
        let sum = 0;
        for (let i = 0; i < 200; i++) sum += await greylist.check('192.0.2.1', 'a', 'b');
        await greylist.close();
        console.log(sum);
      })();
    `;
    const processes = 4;
    const results = await Promise.all(
      Array.from({ length: processes }, async () => {
        const child = spawn(process.execPath, ['-e', program], { cwd: projectRoot, timeout: 60_000 });
        const [output, errors, [status]] = await Promise.all([
          readAll(child.stdout),
          readAll(child.stderr),
          once(child, 'close'),
        ]);
        expectThat(status, errors).toBe(0);
        return Number(output);
      }),
    );
    // 0 once, and each number up to the last one once
    const last = processes * 200 - 1;
    expect(results.reduce((a, b) => a + b)).toBe((last * (last + 1)) / 2);
  });

  it('stores addresses readably, and digests of those that are too long', async () => {
    const file = newFile();
    const store = new SqliteStore(file, { maxLength: 20 });
    await using greylist = new Greylist(store);
    await greylist.check('192.0.2.1', 'a@example.com', 'x'.repeat(20));
    await greylist.check('192.0.2.2', 'x'.repeat(21), 'gr\udcfc');
    const database = new Sqlite(file, { readonly: true });
    const rows = database
      .prepare('SELECT ip, sender, recipient FROM triples ORDER BY ip')
      .raw()
      .all() as string[][];
    database.close();
    expect(rows[0]).toStrictEqual(['192.0.2.1', 'a@example.com', 'x'.repeat(20)]);
    for (const kept of rows[1]?.slice(1) ?? []) expect(kept).toMatch(/^sha256:[\w-]{43}$/);
    expect(rows).toHaveLength(2);
  });

  it('makes room at maxEntries: entries that never passed are deleted first, the oldest before others', async () => {
    const file = newFile();
    const clock = new Clock();
    const store = new SqliteStore(file, { maxEntries: 200 });
    await using greylist = new Greylist(store, { now: clock.now });
    const check = (name: string) => greylist.check(name, 'a', 'b');
    await check('friend');
    clock.time += 3_600_000;
    expect(await check('friend')).toBe(1);
    for (let i = 0; i < 1000; i++) {
      clock.time += 1;
      await check(`stranger${i}`);
    }
    const database = new Sqlite(file, { readonly: true });
    const count = database.prepare('SELECT count(*) FROM triples').pluck().get() as number;
    database.close();
    expect(count).toBeGreaterThanOrEqual(199);
    expect(count).toBeLessThanOrEqual(202);
    clock.time += 3_600_000;
    expect(await check('friend')).toBe(2);
    expect(await check('stranger999')).toBe(1);
    expect(await check('stranger0')).toBe(0);
  });

  it('is an error if the file cannot be used', async () => {
    expect(() => new SqliteStore(join(dir, 'missing', 'x.db'))).toThrow(
      storeError(/missing\/x\.db: .*directory/),
    );
    expect(() => new SqliteStore(dir)).toThrow(storeError(/unable to open/));
    const garbage = newFile();
    writeFileSync(garbage, 'this is no database, '.repeat(1000));
    expect(() => new SqliteStore(garbage)).toThrow(storeError(/not a database/));
  });

  it('is an error if a newer version made the file', async () => {
    const file = newFile();
    const database = new Sqlite(file);
    database.pragma('user_version = 99');
    database.close();
    expect(() => new SqliteStore(file)).toThrow(storeError(/schema version 99 needs a newer version/));
  });

  it('is an error after the timeout if another process keeps the file locked', async () => {
    const file = newFile();
    const store = new SqliteStore(file, { timeout: 50 });
    await using greylist = new Greylist(store);
    const database = new Sqlite(file);
    database.exec('BEGIN IMMEDIATE');
    try {
      await expect(greylist.check('192.0.2.1', 'a', 'b')).rejects.toThrow(storeError(/locked/));
      await expect(greylist.clean()).rejects.toThrow(storeError(/locked/));
    } finally {
      database.exec('ROLLBACK');
      database.close();
    }
    expect(await greylist.check('192.0.2.1', 'a', 'b')).toBe(0);
  });

  it('fails after it has been closed', async () => {
    const greylist = new Greylist(newFile());
    await greylist.close();
    await greylist.close();
    await expect(greylist.check('192.0.2.1', 'a', 'b')).rejects.toThrow(storeError(/not open/));
  });
});

describe('the optional packages', () => {
  /** Runs `program` where the library is, and no package but those that `prepare` puts there. */
  function elsewhere(program: string, prepare: (modules: string) => void = () => {}): string {
    const place = mkdtempSync(join(dir, 'elsewhere-'));
    cpSync(join(projectRoot, 'dist'), join(place, 'dist'), { recursive: true });
    const modules = join(place, 'node_modules');
    mkdirSync(modules);
    prepare(modules);
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [
        '-e',
        `const g = require('./dist/greylist'); try { ${program} } catch (e) { console.log(e.code, e.message); }`,
      ],
      { cwd: place, encoding: 'utf8', timeout: 60_000 },
    );
    expectThat(status, stderr).toBe(0);
    return stdout.trim();
  }

  it('better-sqlite3: an error says that it is not installed', () => {
    expect(elsewhere("new g.Greylist('x.db')")).toBe(
      'ERR_MILTER_MISSING_PACKAGE SqliteStore: the package better-sqlite3 is not installed; install it with npm install better-sqlite3',
    );
  });

  it('redis: an error says that it is not installed', () => {
    expect(elsewhere('new g.RedisStore()')).toBe(
      'ERR_MILTER_MISSING_PACKAGE RedisStore: the package redis is not installed; install it with npm install redis',
    );
  });

  it('better-sqlite3: an error says that it is not built', () => {
    const told = elsewhere("new g.Greylist('x.db')", (modules) => {
      const from = join(projectRoot, 'node_modules');
      for (const name of ['bindings', 'file-uri-to-path']) symlinkSync(join(from, name), join(modules, name));
      mkdirSync(join(modules, 'better-sqlite3'));
      for (const name of ['package.json', 'lib']) {
        cpSync(join(from, 'better-sqlite3', name), join(modules, 'better-sqlite3', name), {
          recursive: true,
        });
      }
    });
    expect(told).toMatch(
      /^ERR_MILTER_MISSING_PACKAGE .* cannot be loaded; npm rebuild better-sqlite3 may help/,
    );
  });
});

describe('loadPackage', () => {
  const loads = (load: () => unknown) => () => loadPackage('some-package', 'Somebody', load);
  const missing = (message: RegExp) => isError('ERR_MILTER_MISSING_PACKAGE', message);

  it('returns the loaded package', () => expect(loads(() => 1)()).toBe(1));
  it('says how to install a missing package', () => {
    const notFound = loads(() => require('milter-needs-no-such-package'));
    expect(notFound).toThrow(
      missing(/^Somebody: .* some-package is not installed; install it with npm install some-package$/),
    );
  });
  it('reports other errors in one line', () => {
    const broken = loads(() => {
      throw new Error('first line\nsecond');
    });
    expect(broken).toThrow(missing(/cannot be loaded; npm rebuild some-package may help \(first line\)$/));
  });
});

describe('arguments', () => {
  const bad = (message: RegExp) => isError('ERR_MILTER_BAD_ARGUMENT', message);
  const refuses = (options: GreylistOptions, message: RegExp) =>
    expect(() => new Greylist(newFile(), options)).toThrow(bad(message));

  it('of Greylist', () => {
    refuses({ delay: -1 }, /Greylist: delay/);
    refuses({ grace: 0.5 }, /Greylist: grace/);
    refuses({ window: 0 }, /Greylist: window/);
    refuses({ lifetime: 40_000 * DAY }, /Greylist: lifetime/);
    refuses({ delay: 3600_000, window: 3600_000 }, /window \(3600000 ms\) must be longer/);
    refuses({ now: 5 as unknown as () => number }, /Greylist: now/);
  });

  it('of SqliteStore', () => {
    expect(() => new SqliteStore('')).toThrow(bad(/file must not be empty/));
    expect(() => new SqliteStore(newFile(), { timeout: -1 })).toThrow(bad(/timeout/));
    expect(() => new SqliteStore(newFile(), { maxLength: 0 })).toThrow(bad(/maxLength/));
    expect(() => new SqliteStore(newFile(), { maxEntries: 0 })).toThrow(bad(/maxEntries/));
  });

  it('of check', async () => {
    await using greylist = new Greylist(newFile());
    await expect(greylist.check(null as unknown as string, 'a', 'b')).rejects.toThrow(bad(/check: ip/));
    await expect(greylist.check('i', 'a\0', 'b')).rejects.toThrow(bad(/check: sender/));
    await expect(greylist.check('i', 'a', 1 as unknown as string)).rejects.toThrow(bad(/check: recipient/));
  });
});
