/** AddressMemory of tsmilter/lists in a real Redis. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { MilterError, RedisAddressMemory } from 'tsmilter/lists';
import { RedisServer } from '../../tools/redis';
import { until } from '../../tools/wait';
import { testAddressMemory } from '../support/address-memory-table';
import { errorWith } from '../support/expect';

const DAY_MS = 86_400_000;

let server: RedisServer;
let opened = 0;

beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const connection = () => ({ client: { socket: { path: server.path, tls: false } }, timeout: 20_000 });
const inRedis = (prefix = `test${opened++}:`) => new RedisAddressMemory({ ...connection(), prefix });

describe('addresses in Redis', () => {
  testAddressMemory(() => inRedis());

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
