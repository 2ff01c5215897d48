/** tsmilter/greylist in an SQLite file. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import Sqlite from 'better-sqlite3';
import { Greylist, type GreylistOptions, MilterError, SqliteStore } from 'tsmilter/greylist';
import { loadPackage } from '#lib/greylist/packages.js';
import { projectRoot } from '../../tools/mta/installation';
import { Clock, testStore } from '../support/greylist-table';

let dir = '';
let files = 0;
const newFile = () => join(dir, `${files++}.db`);

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'greylist-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

const DAY = 86_400_000;

function isError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof MilterError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}
const storeError = (message: RegExp) => isError('ERR_MILTER_STORE', message);

describe('a greylist in SQLite', () => {
  testStore(() => new SqliteStore(newFile()));

  it('contract 35: is the default', async () => {
    const file = newFile();
    await using greylist = new Greylist(file);
    assert.equal(await greylist.check('192.0.2.1', 'a@example.com', 'b@example.com'), 0);
    assert.ok(existsSync(file));
  });

  it('goes by the machine clock', async () => {
    await using greylist = new Greylist(newFile(), { delay: 0, grace: 0, window: 60_000, lifetime: 60_000 });
    assert.equal(await greylist.check('192.0.2.1', 'a@example.com', 'b@example.com'), 0);
    assert.equal(await greylist.check('192.0.2.1', 'a@example.com', 'b@example.com'), 1);
  });

  it('knows after a restart what it knew before', async () => {
    const file = newFile();
    const clock = new Clock();
    const restarted = () => new Greylist(file, { now: clock.now });
    {
      await using greylist = restarted();
      assert.equal(await greylist.check('192.0.2.1', 'a', 'b'), 0);
    }
    clock.time += 3_600_000;
    await using greylist = restarted();
    assert.equal(await greylist.check('192.0.2.1', 'a', 'b'), 1);
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
        assert.equal(status, 0, errors);
        return Number(output);
      }),
    );
    // 0 once, and each number up to the last one once
    const last = processes * 200 - 1;
    assert.equal(
      results.reduce((a, b) => a + b),
      (last * (last + 1)) / 2,
    );
  });

  it('keeps addresses as they are for who looks into the file, and digests of those that are too long', async () => {
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
    assert.deepEqual(rows[0], ['192.0.2.1', 'a@example.com', 'x'.repeat(20)]);
    for (const kept of rows[1]?.slice(1) ?? []) assert.match(kept, /^sha256:[\w-]{43}$/);
    assert.equal(rows.length, 2);
  });

  it('makes room at maxEntries: first go those never let in, the oldest before others', async () => {
    const file = newFile();
    const clock = new Clock();
    const store = new SqliteStore(file, { maxEntries: 200 });
    await using greylist = new Greylist(store, { now: clock.now });
    const check = (name: string) => greylist.check(name, 'a', 'b');
    await check('friend');
    clock.time += 3_600_000;
    assert.equal(await check('friend'), 1);
    for (let i = 0; i < 1000; i++) {
      clock.time += 1;
      await check(`stranger${i}`);
    }
    const database = new Sqlite(file, { readonly: true });
    const count = database.prepare('SELECT count(*) FROM triples').pluck().get() as number;
    database.close();
    assert.ok(count >= 199 && count <= 202, String(count));
    clock.time += 3_600_000;
    assert.equal(await check('friend'), 2);
    assert.equal(await check('stranger999'), 1);
    assert.equal(await check('stranger0'), 0);
  });

  it('is an error where the file cannot be used', async () => {
    assert.throws(
      () => new SqliteStore(join(dir, 'missing', 'x.db')),
      storeError(/missing\/x\.db: .*directory/),
    );
    assert.throws(() => new SqliteStore(dir), storeError(/unable to open/));
    const garbage = newFile();
    writeFileSync(garbage, 'this is no database, '.repeat(1000));
    assert.throws(() => new SqliteStore(garbage), storeError(/not a database/));
  });

  it('is an error where a newer version made the file', async () => {
    const file = newFile();
    const database = new Sqlite(file);
    database.pragma('user_version = 99');
    database.close();
    assert.throws(() => new SqliteStore(file), storeError(/layout 99 is that of a newer version/));
  });

  it('is an error after a bounded time where another process keeps the file locked', async () => {
    const file = newFile();
    const store = new SqliteStore(file, { timeout: 50 });
    await using greylist = new Greylist(store);
    const database = new Sqlite(file);
    database.exec('BEGIN IMMEDIATE');
    try {
      await assert.rejects(greylist.check('192.0.2.1', 'a', 'b'), storeError(/locked/));
      await assert.rejects(greylist.clean(), storeError(/locked/));
    } finally {
      database.exec('ROLLBACK');
      database.close();
    }
    assert.equal(await greylist.check('192.0.2.1', 'a', 'b'), 0);
  });

  it('is an error after its end', async () => {
    const greylist = new Greylist(newFile());
    await greylist.close();
    await greylist.close();
    await assert.rejects(greylist.check('192.0.2.1', 'a', 'b'), storeError(/not open/));
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
    assert.equal(status, 0, stderr);
    return stdout.trim();
  }

  it('better-sqlite3: an error that says so where it is not installed', () => {
    assert.equal(
      elsewhere("new g.Greylist('x.db')"),
      'ERR_MILTER_MISSING_PACKAGE SqliteStore: the package better-sqlite3 is not installed: npm install better-sqlite3',
    );
  });

  it('redis: an error that says so where it is not installed', () => {
    assert.equal(
      elsewhere('new g.RedisStore()'),
      'ERR_MILTER_MISSING_PACKAGE RedisStore: the package redis is not installed: npm install redis',
    );
  });

  it('better-sqlite3: an error that says so where it is not built', () => {
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
    assert.match(told, /^ERR_MILTER_MISSING_PACKAGE .* does not load: npm rebuild better-sqlite3 may help/);
  });
});

describe('loadPackage', () => {
  const loads = (load: () => unknown) => () => loadPackage('some-package', 'Somebody', load);
  const missing = (message: RegExp) => isError('ERR_MILTER_MISSING_PACKAGE', message);

  it('gives what it loads', () => assert.equal(loads(() => 1)(), 1));
  it('says how to install what is not there', () => {
    const notFound = loads(() => require('milter-needs-no-such-package'));
    assert.throws(
      notFound,
      missing(/^Somebody: .* some-package is not installed: npm install some-package$/),
    );
  });
  it('says what else is wrong, in a line', () => {
    const broken = loads(() => {
      throw new Error('first line\nsecond');
    });
    assert.throws(broken, missing(/does not load: npm rebuild some-package may help \(first line\)$/));
  });
});

describe('arguments', () => {
  const bad = (message: RegExp) => isError('ERR_MILTER_BAD_ARGUMENT', message);
  const refuses = (options: GreylistOptions, message: RegExp) =>
    assert.throws(() => new Greylist(newFile(), options), bad(message));

  it('of Greylist', () => {
    refuses({ delay: -1 }, /Greylist: delay/);
    refuses({ grace: 0.5 }, /Greylist: grace/);
    refuses({ window: 0 }, /Greylist: window/);
    refuses({ lifetime: 40_000 * DAY }, /Greylist: lifetime/);
    refuses({ delay: 3600_000, window: 3600_000 }, /window \(3600000 ms\) must be longer/);
    refuses({ now: 5 as unknown as () => number }, /Greylist: now/);
  });

  it('of SqliteStore', () => {
    assert.throws(() => new SqliteStore(''), bad(/file must not be empty/));
    assert.throws(() => new SqliteStore(newFile(), { timeout: -1 }), bad(/timeout/));
    assert.throws(() => new SqliteStore(newFile(), { maxLength: 0 }), bad(/maxLength/));
    assert.throws(() => new SqliteStore(newFile(), { maxEntries: 0 }), bad(/maxEntries/));
  });

  it('of check', async () => {
    await using greylist = new Greylist(newFile());
    await assert.rejects(greylist.check(null as unknown as string, 'a', 'b'), bad(/check: ip/));
    await assert.rejects(greylist.check('i', 'a\0', 'b'), bad(/check: sender/));
    await assert.rejects(greylist.check('i', 'a', 1 as unknown as string), bad(/check: recipient/));
  });
});
