/** tsmilter/reputation in an SQLite file. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import Sqlite from 'better-sqlite3';
import { SqliteReportStore } from 'tsmilter/dmarc';
import { Greylist } from 'tsmilter/greylist';
import { SqliteRateLimitStore } from 'tsmilter/ratelimit';
import {
  MilterError,
  type Outcome,
  Reputation,
  type ReputationOptions,
  type ReputationStore,
  SqliteReputationStore,
} from 'tsmilter/reputation';
import { Clock } from '../support/clock';
import { errorWith } from '../support/expect';
import { exported, testReputationStore } from '../support/reputation-table';
import { runProcesses } from '../support/run-processes';

let dir = '';
let files = 0;
const newFile = () => join(dir, `${files++}.db`);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'reputation-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const isError = (code: string, message: RegExp) => errorWith({ code, message }, MilterError);
const storeError = (message: RegExp) => isError('ERR_MILTER_STORE', message);

describe('a reputation in SQLite', () => {
  testReputationStore(() => new SqliteReputationStore(':memory:'));

  it('is the default, keeps its records over a restart, and has the name of the host', async () => {
    const file = newFile();
    {
      await using reputation = new Reputation(file);
      await reputation.record('example.com', 'pass', 'ham');
    }
    await using reputation = new Reputation(file);
    expect(await reputation.score('example.com', 'pass')).toMatchObject({ score: 100, messages: 1 });
    expect(await exported(reputation)).toMatchObject([{ id: 'example.com:pass', host: hostname() }]);
  });

  it('may be used by several processes at once, from its first moment', async () => {
    const file = newFile();
    await runProcesses(
      3,
      `
      const { Reputation, SqliteReputationStore } = require('tsmilter/reputation');
      const store = new SqliteReputationStore(${JSON.stringify(file)}, { timeout: 30000 });
      const reputation = new Reputation(store, { host: 'a', whenStoreFails: 'throw' });
      (async () => {
        for (let i = 0; i < 150; i++) await reputation.record('example.com', 'pass', i % 3 ? 'ham' : 'spam');
        await reputation.close();
      })();
    `,
    );
    await using reputation = new Reputation(file);
    const { score, messages } = await reputation.score('example.com', 'pass');
    expect(messages).toBe(450);
    expect(score).toBeCloseTo((100 * (300 - 150)) / 450, 9);
  });

  it('makes room at maxEntries: those of few messages are deleted first, the oldest before others', async () => {
    const clock = new Clock();
    const store = new SqliteReputationStore(':memory:', { maxEntries: 100 });
    await using reputation = new Reputation(store, { host: 'a', now: clock.now });
    for (let i = 0; i < 5; i++) await reputation.record('known.example', 'pass', 'ham');
    for (let i = 0; i < 1000; i++) {
      clock.time++;
      await reputation.record(`made-up${i}.example`, 'none', 'spam');
    }
    expect((await exported(reputation)).length).toBeLessThanOrEqual(101);
    expect(await reputation.score('known.example', 'pass')).toMatchObject({ messages: 5 });
    expect(await reputation.score('made-up999.example', 'none')).toMatchObject({ messages: 1 });
    expect(await reputation.score('made-up0.example', 'none')).toMatchObject({ messages: 0 });
  });

  it('is an error if the file cannot be used, or is that of another store', async () => {
    expect(() => new Reputation(join(dir, 'missing', 'x.db'))).toThrow(
      storeError(/^reputation .*missing\/x\.db: .*directory/),
    );
    const grey = newFile();
    await new Greylist(grey).close();
    expect(() => new Reputation(grey)).toThrow(storeError(/is not a file of reputation/));
    const file = newFile();
    await new Reputation(file).close();
    expect(() => new Greylist(file)).toThrow(storeError(/is not a file of greylist/));
    const database = new Sqlite(file);
    database.pragma('user_version = 99');
    database.close();
    expect(() => new Reputation(file)).toThrow(storeError(/schema version 99 needs a newer version/));
  });

  it.each([
    ['says nothing about itself', 0],
    ['has a version as ours have', 1],
  ])('leaves a database of another program as it is: one that %s', (_, version) => {
    const file = newFile();
    const database = new Sqlite(file);
    database.exec(`CREATE TABLE records_of_mine (x); PRAGMA user_version = ${version}`);
    database.close();
    const bytes = readFileSync(file);
    for (const Store of [Reputation, Greylist, SqliteReportStore, SqliteRateLimitStore])
      expect(() => new Store(file)).toThrow(storeError(/is not a file of/));
    expect(readFileSync(file)).toStrictEqual(bytes);
  });
});

describe('a store that fails', () => {
  const failing = async (options: ReputationOptions) => {
    const file = newFile();
    const store = new SqliteReputationStore(file, { timeout: 20 });
    const reputation = new Reputation(store, options);
    const database = new Sqlite(file);
    database.exec('BEGIN EXCLUSIVE');
    const free = () => database.inTransaction && database.exec('ROLLBACK');
    return {
      reputation,
      free,
      [Symbol.asyncDispose]: async () => {
        free();
        database.close();
        await reputation.close();
      },
    };
  };

  it('does not stop the filter: nothing is recorded, and the failure is reported', async () => {
    const failures: MilterError[] = [];
    await using locked = await failing({ onFailure: (error) => failures.push(error) });
    const { reputation } = locked;
    expect(await reputation.record('example.com', 'pass', 'ham')).toBe(false);
    expect(failures).toEqual([storeError(/^reputation .*locked/)]);
    locked.free();
    expect(await reputation.record('example.com', 'pass', 'ham')).toBe(true);
    await reputation.close();
    expect(await reputation.score('example.com', 'pass')).toStrictEqual({
      score: 0,
      confidence: 0,
      messages: 0,
      failure: storeError(/not open/),
    });
    expect(failures).toHaveLength(2);
  });

  it('warns once by default, and again after it has worked', async () => {
    await using locked = await failing({});
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
    try {
      for (let i = 0; i < 3; i++) await locked.reputation.record('example.com', 'pass', 'ham');
      expect(warn.mock.calls).toEqual([[expect.stringMatching(/locked/), 'MilterWarning']]);
      locked.free();
      await locked.reputation.record('example.com', 'pass', 'ham');
      await locked.reputation.close();
      await locked.reputation.record('example.com', 'pass', 'ham');
      expect(warn.mock.calls).toHaveLength(2);
    } finally {
      warn.mockRestore();
    }
  });

  it('is an error if that is wanted, and with the other methods', async () => {
    await using locked = await failing({ whenStoreFails: 'throw' });
    const { reputation } = locked;
    await expect(reputation.record('example.com', 'pass', 'ham')).rejects.toThrow(storeError(/locked/));
    await expect(reputation.clean()).rejects.toThrow(storeError(/locked/));
    await reputation.close();
    await expect(reputation.score('example.com', 'pass')).rejects.toThrow(storeError(/not open/));
    await expect(exported(reputation)).rejects.toThrow(storeError(/not open/));
  });

  it('hides no other error', async () => {
    const broken = { find: () => Promise.reject(new TypeError('a mistake')) } as unknown as ReputationStore;
    await expect(new Reputation(broken).score('example.com', 'pass')).rejects.toThrow(
      new TypeError('a mistake'),
    );
  });
});

describe('arguments', () => {
  const bad = (message: RegExp) => isError('ERR_MILTER_BAD_ARGUMENT', message);

  it.each([
    [{ halfLife: 1000 }, /Reputation: halfLife/],
    [{ lifetime: 0 }, /Reputation: lifetime/],
    [{ host: 'a b' }, /Reputation: host/],
    [{ whenStoreFails: 'allow' }, /whenStoreFails must be 'unknown' or 'throw'/],
    [{ onFailure: 1 }, /Reputation: onFailure/],
    [{ now: 1 }, /Reputation: now/],
    [{ halflife: 1 }, /did you mean halfLife/],
  ])('of Reputation: %j', (options, message) => {
    expect(() => new Reputation(':memory:', options as ReputationOptions)).toThrow(bad(message));
  });

  it('of SqliteReputationStore', () => {
    expect(() => new SqliteReputationStore('')).toThrow(bad(/file must not be empty/));
    expect(() => new SqliteReputationStore(':memory:', { timeout: -1 })).toThrow(bad(/timeout/));
    expect(() => new SqliteReputationStore(':memory:', { maxEntries: 0 })).toThrow(bad(/maxEntries/));
  });

  it.each(['', 'Pass', 'a:b', 'x'.repeat(33), 'a b', undefined, 1])(
    'of score: the level %j',
    async (level) => {
      await using reputation = new Reputation(':memory:');
      await expect(reputation.score('example.com', level as string)).rejects.toThrow(
        bad(/level must be a word/),
      );
    },
  );

  it('of record and export', async () => {
    await using reputation = new Reputation(':memory:');
    await expect(reputation.record(1 as unknown as string, 'pass', 'ham')).rejects.toThrow(
      bad(/name must be a string/),
    );
    await expect(reputation.record('a', 'pass', 'Spam' as Outcome)).rejects.toThrow(bad(/'spam' or 'ham'/));
    await expect(reputation.export(-1).next()).rejects.toThrow(bad(/export: since/));
  });
});
