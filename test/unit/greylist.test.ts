/** tsmilter/greylist in an SQLite file. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import Sqlite from 'better-sqlite3';
import { foldSender, Greylist, type GreylistOptions, MilterError, SqliteStore } from 'tsmilter/greylist';
import { loadPackage } from '#lib/internal/stores/packages.js';
import { projectRoot } from '../../tools/project-root';
import { Clock } from '../support/clock';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';
import { fillTriples } from '../support/full-stores';
import { testStore } from '../support/greylist-table';
import { runProcesses } from '../support/run-processes';

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
    const results = (await runProcesses(processes, program)).map(Number);
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

  it('waits for a lock without blocking the thread, all checks at the same time', async () => {
    const file = newFile();
    await using greylist = new Greylist(new SqliteStore(file, { timeout: 2000 }));
    const database = new Sqlite(file);
    database.exec('BEGIN IMMEDIATE');
    const begin = performance.now();
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 5);
    const checks = Array.from({ length: 50 }, (_, i) => greylist.check('192.0.2.1', 'a', `${i}`));
    await Promise.all(checks.map((check) => expect(check).rejects.toThrow(storeError(/locked/))));
    // One after the other, they would have taken 100 s.
    expect(performance.now() - begin).toBeLessThan(30_000);
    expect(ticks).toBeGreaterThan(5);
    clearInterval(ticking);
    const waiting = greylist.check('192.0.2.1', 'a', 'b');
    database.exec('ROLLBACK');
    database.close();
    expect(await waiting).toBe(0);
  });

  it('cleans in small steps: checks of this and of another process get their turns', async () => {
    const file = newFile();
    const clock = new Clock();
    await using greylist = new Greylist(file, { now: clock.now });
    await using other = new Greylist(new SqliteStore(file, { timeout: 20_000 }), { now: clock.now });
    await fillTriples(file, 20_000, clock.time);
    clock.time += 4 * 3_600_000;
    let cleaned = false;
    const cleaning = greylist.clean().finally(() => {
      cleaned = true;
    });
    let between = 0;
    for (let i = 0; !cleaned; i++) {
      expect(await (i % 2 ? greylist : other).check('192.0.2.1', 'a', `${i}`)).toBe(0);
      await new Promise(setImmediate);
      between++;
    }
    expect(await cleaning).toBe(20_000);
    // 80 steps of 250 rows, and a turn for sessions after each of them
    expect(between).toBeGreaterThanOrEqual(80);
  });

  it('upgrades a file of the first schema', async () => {
    const file = newFile();
    const database = new Sqlite(file);
    database.exec(`
      CREATE TABLE triples (
        ip TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (ip, sender, recipient)
      ) WITHOUT ROWID;
      CREATE INDEX triples_by_age ON triples (count > 0, last);
      INSERT INTO triples VALUES ('192.0.2.1', 'a', 'b', 1000, 1000, 7), ('192.0.2.2', 'a', 'b', 1000, 1000, 1);
      PRAGMA user_version = 1;
    `);
    database.close();
    await using greylist = new Greylist(new SqliteStore(file, { maxEntries: 2 }), { now: () => 2000 });
    expect(await greylist.check('192.0.2.1', 'a', 'b')).toBe(8);
    // The rows of the old file count for maxEntries: a new triple, which was never accepted, is the first to go.
    expect(await greylist.check('192.0.2.3', 'a', 'b')).toBe(0);
    expect(await greylist.check('192.0.2.2', 'a', 'b')).toBe(2);
  });

  it('fails after it has been closed', async () => {
    const greylist = new Greylist(newFile());
    await greylist.close();
    await greylist.close();
    await expect(greylist.check('192.0.2.1', 'a', 'b')).rejects.toThrow(storeError(/not open/));
  });
});

describe('what counts as the same', () => {
  const options = { delay: 0, grace: 0, ipv4Prefix: 24, ipv6Prefix: 64, foldSenders: true };
  const SAME: [string, string, string, string][] = [
    ['192.0.2.1', 'a@b.example', '192.0.2.254', 'a@b.example'],
    ['192.0.2.1', 'a@b.example', '::ffff:192.0.2.7', '<A@B.example>'],
    ['2001:db8:0:1::1', 'a@b.example', '2001:db8::1:ffff:ffff:ffff:ffff', 'a@b.example'],
    ['192.0.2.1', 'prvs=4127a1b2c3=joe@b.example', '192.0.2.1', 'prvs=5130ffffff=joe@b.example'],
    ['192.0.2.1', 'prvs=4127a1b2c3=joe@b.example', '192.0.2.1', 'joe@b.example'],
    [
      '192.0.2.1',
      'SRS0=AbCd=XY=a.example=joe@f.example',
      '192.0.2.1',
      'SRS0=EfGh=XZ=a.example=joe@f.example',
    ],
    [
      '192.0.2.1',
      'SRS1=AbCd=f.example==QrSt=XY=a.example=joe@g.example',
      '192.0.2.1',
      'SRS1=EfGh=f.example==UvWx=XZ=a.example=joe@g.example',
    ],
    ['192.0.2.1', 'bounce-4711-joe=b.example@l.example', '192.0.2.1', 'bounce-4712-joe=b.example@l.example'],
    ['192.0.2.1', 'bounces+12-af3e-joe=b@l.example', '192.0.2.1', 'bounces+13-b201-joe=b@l.example'],
    [
      '192.0.2.1',
      '0100018c1a2b3c4d-5e6f7a8b-1234-000000@ses.example',
      '192.0.2.1',
      '010f018c1a2b3c4d-9e6f7a8b-2234-000000@ses.example',
    ],
  ];
  for (const [ip, sender, retryIp, retrySender] of SAME) {
    it(`${ip} ${sender} and ${retryIp} ${retrySender}`, async () => {
      await using greylist = new Greylist(':memory:', options);
      expect(await greylist.check(ip, sender, 'r@example.net')).toBe(0);
      expect(await greylist.check(retryIp, retrySender, 'r@example.net')).toBe(1);
    });
  }

  const DIFFERENT: [string, string, string, string][] = [
    ['192.0.2.1', 'a@b.example', '192.0.3.1', 'a@b.example'],
    ['2001:db8:0:1::1', 'a@b.example', '2001:db8:0:2::1', 'a@b.example'],
    ['192.0.2.1', 'john1984@b.example', '192.0.2.1', 'john1985@b.example'],
    ['192.0.2.1', 'decade@b.example', '192.0.2.1', 'facade@b.example'],
    [
      '192.0.2.1',
      'SRS0=AbCd=XY=a.example=joe@f.example',
      '192.0.2.1',
      'SRS0=AbCd=XY=a.example=ann@f.example',
    ],
    ['192.0.2.1', 'prvs=4127a1b2c3=joe@b.example', '192.0.2.1', 'prvs=4127a1b2c3=ann@b.example'],
    ['192.0.2.1', '', '192.0.2.1', '<a@b.example>'],
    ['a host', 'a@b.example', 'another host', 'a@b.example'],
  ];
  for (const [ip, sender, otherIp, otherSender] of DIFFERENT) {
    it(`not ${ip} ${sender} and ${otherIp} ${otherSender}`, async () => {
      await using greylist = new Greylist(':memory:', options);
      expect(await greylist.check(ip, sender, 'r@example.net')).toBe(0);
      expect(await greylist.check(otherIp, otherSender, 'r@example.net')).toBe(0);
    });
  }

  it('is exact text by default', async () => {
    await using greylist = new Greylist(':memory:', { delay: 0, grace: 0 });
    expect(await greylist.check('192.0.2.1', 'a@b.example', 'r')).toBe(0);
    expect(await greylist.check('192.0.2.2', 'a@b.example', 'r')).toBe(0);
    expect(await greylist.check('192.0.2.1', 'A@b.example', 'r')).toBe(0);
  });

  it('folds hostile senders in linear time', async () => {
    for (const unit of ['a', '0', '=', '-', 'prvs=', 'SRS0=a=b=', 'srs1=', '+', '@', 'btv1==', '\udcfc']) {
      const spent = await cpuTime(() => foldSender(`${unit.repeat(200_000 / unit.length)}@x`));
      expectThat(spent, unit).toBeLessThan(10_000);
    }
  });
});

describe('the optional packages', () => {
  /** Runs `program` where the library is, and no packages but ipaddr.js and those that `prepare` puts there. */
  function elsewhere(program: string, prepare: (modules: string) => void = () => {}): string {
    const place = mkdtempSync(join(dir, 'elsewhere-'));
    cpSync(join(projectRoot, 'dist'), join(place, 'dist'), { recursive: true });
    const modules = join(place, 'node_modules');
    mkdirSync(modules);
    symlinkSync(join(projectRoot, 'node_modules', 'ipaddr.js'), join(modules, 'ipaddr.js'));
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
    refuses({ ipv4Prefix: 33 }, /Greylist: ipv4Prefix/);
    refuses({ ipv6Prefix: 0 }, /Greylist: ipv6Prefix/);
    refuses({ autoWhitelist: -1 }, /Greylist: autoWhitelist/);
    refuses({ foldSenders: 1 as unknown as boolean }, /Greylist: foldSenders/);
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
