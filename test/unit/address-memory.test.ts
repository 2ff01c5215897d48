/** AddressMemory of tsmilter/lists in SQLite, whose addon is built for one version of Node. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MilterError, SqliteAddressMemory } from 'tsmilter/lists';
import { privateDirectory } from '../../tools/private-directory';
import { testAddressMemory } from '../support/address-memory-table';
import { Clock } from '../support/clock';
import { errorWith } from '../support/expect';

const DAY_MS = 86_400_000;

let dir: string;
let opened = 0;
const newFile = () => join(dir, `${opened++}.db`);

beforeAll(() => {
  dir = privateDirectory('addresses');
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('addresses in SQLite', () => {
  testAddressMemory(() => new SqliteAddressMemory(newFile()));

  it('an address ends with its days, and the longer time counts', async () => {
    const clock = new Clock();
    const memory = new SqliteAddressMemory(newFile(), { now: clock.now });
    await memory.add(['ann@example.com'], 3);
    await memory.add(['ann@example.com', 'bob@example.com'], 1);
    clock.time += 2 * DAY_MS;
    expect(await memory.has('ann@example.com')).toBe(true);
    expect(await memory.has('bob@example.com')).toBe(false);
    expect(await memory.clean()).toBe(1);
    clock.time += DAY_MS;
    expect(await memory.has('ann@example.com')).toBe(false);
    expect(await memory.clean()).toBe(1);
    await memory.close();
  });

  it('those that end first make room for others, and a file is shared', async () => {
    const file = newFile();
    const memory = new SqliteAddressMemory(file, { maxEntries: 2 });
    await memory.add(['ann@example.com'], 1);
    await memory.add(['bob@example.com', 'joe@example.com'], 2);
    const other = new SqliteAddressMemory(file);
    const known = ['ann', 'bob', 'joe'].map((user) => other.has(`${user}@example.com`));
    expect(await Promise.all(known)).toStrictEqual([false, true, true]);
    await other.close();
    await memory.close();
  });

  it('a file of something else is refused', () => {
    const file = newFile();
    writeFileSync(file, 'not a database'.repeat(100));
    expect(() => new SqliteAddressMemory(file)).toThrow(errorWith({ code: 'ERR_MILTER_STORE' }, MilterError));
    expect(() => new SqliteAddressMemory(newFile(), { maxEntries: 0 })).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }, MilterError),
    );
    expect(() => new SqliteAddressMemory(newFile(), { now: 1 as never })).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }, MilterError),
    );
  });
});
