/** Aggregate reports in a real Redis. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import {
  type DmarcReportStore,
  RedisReportStore,
  type RedisReportStoreOptions,
  type StoredReport,
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

const remove = async (names: readonly string[]): Promise<void> => {
  const client = await createClient({ socket: { path: server.path, tls: false } }).connect();
  try {
    expect(await client.del([...names])).toBe(names.length);
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

  it('has nothing left of what was sent', async () => {
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
    expect((await keys()).filter((key) => key.startsWith('sent:'))).toEqual([]);
    await store.close();
  });

  describe('a report that Redis has evicted', () => {
    const record = (n: number) => `v=DMARC1; p=reject; rua=mailto:r${n}@example.com`;
    const namesIn = async (store: DmarcReportStore) => {
      const domains: string[] = [];
      for (let after = ''; ; ) {
        const report = await store.next(TOMORROW, after);
        if (report === undefined) return domains;
        after = report.id;
        domains.push(report.policy.domain);
      }
    };

    it.each([
      ['the first', 1, 3],
      ['some', 2, 3],
      // more than one script removes
      ['very many', 2_100, 2_101],
    ])('is not waited for: %s', async (_, evicted, all) => {
      const prefix = `evicted${all}.${evicted}:`;
      const store = open({ prefix, maxRows: all });
      for (let n = 0; n < all; n++) expect(await store.add(await some(record(n)), NOW)).toBe(true);
      expect(await store.add(await some(record(all)), NOW)).toBe(false);
      const reports = (await keys()).filter((key) => key.startsWith(`${prefix}report:`)).toSorted();
      await remove(reports.slice(0, evicted));

      expect(await namesIn(store)).toHaveLength(all - evicted);
      // There is room for as many rows again.
      for (let n = 0; n <= evicted; n++)
        expect(await store.add(await some(record(all + n)), NOW)).toBe(n < evicted);
      await store.close();
    });

    it('begins anew with the next message', async () => {
      const store = open({ prefix: 'anew:', maxRows: 2 });
      const entries = await Promise.all([1, 2, 3].map((n) => some(undefined, {}, { ip: `192.0.2.${n}` })));
      for (const entry of entries.slice(0, 2)) expect(await store.add(entry, NOW)).toBe(true);
      await remove((await keys()).filter((key) => key.startsWith('anew:report:')));
      expect(await Promise.all(entries.map((entry) => store.add(entry, NOW)))).toEqual([true, true, false]);
      const report = (await store.next(TOMORROW)) as StoredReport;
      expect(report.rows).toHaveLength(2);
      await store.remove(report.id);
      expect((await keys()).filter((key) => key.startsWith('anew:'))).toEqual([]);
      await store.close();
    });
  });

  it('says what is wrong with it', async () => {
    expect(() => open({ period: 0 })).toThrow(/RedisReportStore: period/);
    expect(() => open({ rows: 1 } as never)).toThrow(/RedisReportStore has no option rows/);
    const nowhere = open({ client: { socket: { path: `${server.path}.none`, tls: false } } });
    await expect(nowhere.add(await some(), NOW)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_STORE' }));
    await nowhere.close();
  });
});
