/** AddressMemory of tsmilter/lists, in SQLite and in a real Redis. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { type AddressMemory, MilterError, RedisAddressMemory, SqliteAddressMemory } from 'tsmilter/lists';
import { privateDirectory } from '../../tools/private-directory';
import { RedisServer } from '../../tools/redis';
import { until } from '../../tools/wait';
import { Clock } from '../support/clock';
import { errorWith } from '../support/expect';

const DAY_MS = 86_400_000;

let dir: string;
let server: RedisServer;
let opened = 0;

beforeAll(async () => {
  dir = privateDirectory('addresses');
  server = await RedisServer.start();
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

const connection = () => ({ client: { socket: { path: server.path, tls: false } }, timeout: 20_000 });
const inRedis = (prefix = `test${opened++}:`) => new RedisAddressMemory({ ...connection(), prefix });
const newFile = () => join(dir, `${opened++}.db`);

const stores: readonly [name: string, open: () => AddressMemory][] = [
  ['SQLite', () => new SqliteAddressMemory(newFile())],
  ['Redis', () => inRedis()],
];

describe.each(stores)('addresses in %s', (_, open) => {
  it('are found in each spelling, and no others', async () => {
    const memory = open();
    await memory.add(['ann@example.com', '<Bob@Bücher.example>', '<joe@example.org>', 'ann@example.com'], 60);
    for (const address of [
      'Ann@EXAMPLE.com',
      '<ann@example.com>',
      'bob@xn--bcher-kva.example',
      'joe@example.org',
    ])
      expect(await memory.has(address)).toBe(true);
    for (const address of [
      '',
      '<>',
      'example.com',
      'ann@mail.example.com',
      'annette@example.com',
      'nn@example.com',
    ])
      expect(await memory.has(address)).toBe(false);
    await memory.close();
  });

  it('of strangers have no length that matters', async () => {
    const memory = open();
    const long = `${'x'.repeat(100_000)}@example.com`;
    await memory.add([long, '@', '__proto__'], 1);
    expect(await memory.has(long)).toBe(true);
    expect(await memory.has('__proto__')).toBe(true);
    expect(await memory.has('constructor')).toBe(false);
    await memory.close();
  });

  it('may be none, or more than a script writes', async () => {
    const memory = open();
    await memory.add([], 60);
    const many = Array.from({ length: 1234 }, (__, nth) => `user${nth}@example.com`);
    await memory.add(many, 60);
    expect(await memory.has('user0@example.com')).toBe(true);
    expect(await memory.has('user1233@example.com')).toBe(true);
    expect(await memory.clean()).toBe(0);
    await memory.close();
  });

  it('are checked, and so are their days', async () => {
    const memory = open();
    const refused = errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }, MilterError);
    for (const days of [0, 0.5, -1, Number.NaN, 40_000])
      await expect(memory.add(['ann@example.com'], days)).rejects.toThrow(refused);
    await expect(memory.add('ann@example.com' as never, 1)).rejects.toThrow(refused);
    await expect(memory.add([null as never], 1)).rejects.toThrow(refused);
    await expect(memory.has(undefined as never)).rejects.toThrow(refused);
    await memory.close();
  });

  it('are not to be had from a store that is closed', async () => {
    const memory = open();
    await memory.close();
    await expect(memory.has('ann@example.com')).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_STORE' }, MilterError),
    );
  });
});

describe('in SQLite', () => {
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

describe('in Redis', () => {
  it('an address ends with its days, and the longer time counts', async () => {
    const memory = inRedis('ends:');
    const client = await createClient({ socket: { path: server.path, tls: false } }).connect();
    await memory.add(['ann@example.com'], 3);
    await memory.add(['ann@example.com'], 1);
    const [key = ''] = await client.keys('ends:*');
    expect(key).toMatch(/^ends:[\w-]{43}$/);
    expect((await client.pTTL(key)) / DAY_MS).toBeCloseTo(3, 2);
    await client.pExpire(key, 1);
    await until('the key has expired', async () => (await client.exists(key)) === 0);
    expect(await memory.has('ann@example.com')).toBe(false);
    await client.close();
    await memory.close();
  });

  it('a server that is away is an error', async () => {
    const memory = new RedisAddressMemory({ url: 'redis://127.0.0.1:1', timeout: 20_000 });
    await expect(memory.has('ann@example.com')).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_STORE', message: /addresses in Redis at redis:/ }, MilterError),
    );
    await memory.close();
  });
});
