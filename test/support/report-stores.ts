/** What every store of aggregate reports has to do, and messages for it. */
import { expect, it } from '@jest/globals';
import {
  checkDmarc,
  type DmarcMessage,
  type DmarcReportStore,
  type ReportEntry,
  type ReportFacts,
  type ReportLimits,
  reportEntry,
  type StoredReport,
} from 'tsmilter/dmarc';
import { zoneResolver } from './dkim.js';

export const DAY = 86_400;
export const NOW = Date.parse('2026-11-28T14:30:00Z');
export const TOMORROW = NOW + DAY * 1000;
export const BEGIN = Date.parse('2026-11-28T00:00:00Z') / 1000;
export const RECORD = 'v=DMARC1; p=reject; sp=quarantine; rua=mailto:r@example.com';

/** The entry of a message from example.com, which has this record. */
export async function entry(
  record = RECORD,
  message: Partial<DmarcMessage> = {},
  facts: Partial<ReportFacts> = {},
): Promise<ReportEntry | undefined> {
  const resolver = zoneResolver({ '_dmarc.example.com': [[record]] });
  const { spf, dkim } = message;
  const result = await checkDmarc({ from: 'a@example.com', ...message }, { resolver });
  return reportEntry(result, { ip: '192.0.2.1', envelopeFrom: 'bounce.example.net', spf, dkim, ...facts });
}

/** As {@link entry}, of a message of which something is to be reported. */
export const some = async (...args: Parameters<typeof entry>): Promise<ReportEntry> =>
  (await entry(...args)) as ReportEntry;

/** @param open makes an empty store, which is closed by the test */
export function testReportStore(open: (limits?: Partial<ReportLimits>) => DmarcReportStore): void {
  it('counts messages of which the same is to be said in one row', async () => {
    const store = open();
    for (const ip of ['192.0.2.1', '192.0.2.1', '2001:db8::1'])
      expect(await store.add(await some(RECORD, {}, { ip }), NOW)).toBe(true);
    expect(await store.next(NOW)).toBeUndefined();
    const report = (await store.next(TOMORROW)) as StoredReport;
    expect(report).toMatchObject({ begin: BEGIN, end: BEGIN + DAY - 1, policy: { domain: 'example.com' } });
    expect(report.rows.map(({ row, count }) => [row.ip, count]).sort()).toEqual([
      ['192.0.2.1', 2],
      ['2001:db8::1', 1],
    ]);
    await store.remove(report.id);
    expect(await store.next(TOMORROW)).toBeUndefined();
    await store.close();
  });

  it('has a report for each policy and each period (RFC 9990: one policy configuration)', async () => {
    const store = open();
    await store.add(await some(), NOW);
    await store.add(await some(RECORD.replace('reject', 'none')), NOW);
    await store.add(await some(), TOMORROW);
    const first = await store.next(TOMORROW + DAY * 1000);
    const second = await store.next(TOMORROW + DAY * 1000, first?.id);
    const third = await store.next(TOMORROW + DAY * 1000, second?.id);
    expect(new Set([first, second, third].map((report) => `${report?.begin} ${report?.policy.p}`))).toEqual(
      new Set([`${BEGIN} reject`, `${BEGIN} none`, `${BEGIN + DAY} reject`]),
    );
    expect(await store.next(TOMORROW + DAY * 1000, third?.id)).toBeUndefined();
    await store.close();
  });

  it('is full at its limits, and still counts what it knows', async () => {
    const small = open({ maxRows: 2 });
    const add = async (ip: string) => small.add(await some(RECORD, {}, { ip }), NOW);
    expect([
      await add('192.0.2.1'),
      await add('192.0.2.2'),
      await add('192.0.2.3'),
      await add('192.0.2.1'),
    ]).toEqual([true, true, false, true]);
    // What was removed makes room.
    await small.remove((await small.next(TOMORROW))?.id as string);
    expect([await add('192.0.2.3'), await add('192.0.2.4'), await add('192.0.2.5')]).toEqual([
      true,
      true,
      false,
    ]);
    await small.close();
    const short = open({ maxRowsPerReport: 1 });
    expect(await short.add(await some(), NOW)).toBe(true);
    expect(await short.add(await some(RECORD, {}, { ip: '192.0.2.9' }), NOW)).toBe(false);
    expect(await short.add(await some(`${RECORD}; fo=1`), NOW)).toBe(true);
    await short.close();
  });

  it('gives back what was added to it, in an order that stays', async () => {
    const store = open();
    const entries = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        some(
          RECORD,
          { spf: { result: 'fail', domain: 'example.net' } },
          { ip: `2001:db8::${n}`, envelopeFrom: '' },
        ),
      ),
    );
    for (const one of entries) await store.add(one, NOW);
    const [first, second] = [await store.next(TOMORROW), await store.next(TOMORROW)] as [
      StoredReport,
      StoredReport,
    ];
    expect(second).toEqual(first);
    expect(first.policy).toEqual(entries[0]?.policy);
    expect(new Set(first.rows.map(({ row }) => row))).toEqual(new Set(entries.map(({ row }) => row)));
    await store.close();
  });

  it('is empty for the removal of a report that is not there', async () => {
    const store = open({ maxRows: 1 });
    await store.remove('0000000000-none');
    expect(await store.add(await some(), NOW)).toBe(true);
    const { id } = (await store.next(TOMORROW)) as StoredReport;
    await store.remove(id);
    await store.remove(id);
    expect(await store.add(await some(), NOW)).toBe(true);
    expect(await store.add(await some(RECORD, {}, { ip: '192.0.2.9' }), NOW)).toBe(false);
    await store.close();
  });
}
