/** Where messages are counted for reports. */
import { type DmarcReportStore, RedisReportStore, SqliteReportStore } from 'tsmilter/dmarc';

/** Whether a store is in Redis, and not a file. */
export const isRedis = (store: string): boolean => /^(?:rediss?|unix):\/\//.test(store);

/** Null if none is configured. @throws MilterError if it cannot be used */
export function openStore(config: {
  readonly store: string | null;
  readonly period: number;
}): DmarcReportStore | null {
  const { store, period } = config;
  if (store === null) return null;
  return isRedis(store)
    ? new RedisReportStore({ url: store, period })
    : new SqliteReportStore(store, { period });
}
