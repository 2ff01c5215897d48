/** Aggregate reports in a real Redis. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import {
  type DmarcReportStore,
  RedisReportStore,
  type RedisReportStoreOptions,
  sendReports,
} from 'tsmilter/dmarc';
import { RedisServer } from '../../tools/redis';
import { zoneResolver } from '../support/dkim';
import { errorWith } from '../support/expect';
import { NOW, some, TOMORROW, testReportStore } from '../support/report-stores';

let server: RedisServer;
let prefixes = 0;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const open = (options: RedisReportStoreOptions = {}): DmarcReportStore =>
  new RedisReportStore({
    client: { socket: { path: server.path, tls: false } },
    prefix: `test${prefixes++}*[x]?:`,
    timeout: 20_000,
    ...options,
  });

const keys = async (): Promise<string[]> => {
  const client = await createClient({ socket: { path: server.path, tls: false } }).connect();
  try {
    return await client.keys('*');
  } finally {
    client.destroy();
  }
};

describe('the store in Redis', () => {
  testReportStore(open);

  it('is shared by hosts, and counts correctly', async () => {
    const stores = Array.from({ length: 4 }, () => open({ prefix: 'shared:' }));
    const entries = await Promise.all([1, 2].map((n) => some(undefined, {}, { ip: `192.0.2.${n}` })));
    await Promise.all(
      stores.flatMap((store) =>
        entries.flatMap((entry) => Array.from({ length: 25 }, () => store.add(entry, NOW))),
      ),
    );
    const report = await stores[0]?.next(TOMORROW);
    expect(report?.rows.map(({ count }) => count)).toEqual([100, 100]);
    for (const store of stores) await store.close();
  });

  it('has nothing left of what was sent but its counter', async () => {
    const store = open({ prefix: 'sent:' });
    await store.add(await some(), NOW);
    const sent: unknown[] = [];
    await sendReports({
      store,
      resolver: zoneResolver({}),
      submitter: 'mx.example.org',
      orgName: 'Example',
      email: 'dmarc@example.org',
      send: async (mail) => sent.push(mail),
      now: () => TOMORROW,
    });
    expect(sent).toHaveLength(1);
    expect((await keys()).filter((key) => key.startsWith('sent:'))).toEqual(['sent:rows']);
    await store.close();
  });

  it('says what is wrong with it', async () => {
    expect(() => open({ period: 0 })).toThrow(/RedisReportStore: period/);
    expect(() => open({ rows: 1 } as never)).toThrow(/RedisReportStore has no option rows/);
    const nowhere = open({ client: { socket: { path: `${server.path}.none`, tls: false } } });
    await expect(nowhere.add(await some(), NOW)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_STORE' }));
    await nowhere.close();
  });
});
