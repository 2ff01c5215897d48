/** Messages counted for aggregate reports in Redis, which several machines can share. */
import { createHash } from 'node:crypto';
import { RedisRequests, type RedisStoreOptions } from '../internal/stores/redis-requests.js';
import { ADD, NEXT, REMOVE } from './redis-report-script.js';
import type { ReportEntry, ReportPolicy, ReportRow } from './report-entry.js';
import { checkReportLimits, type ReportLimits } from './report-limits.js';
import type { DmarcReportStore, StoredReport } from './report-store.js';

/** Options for the connection to Redis, and limits. */
export interface RedisReportStoreOptions extends RedisStoreOptions, Partial<ReportLimits> {}

/** Digits of a time in the name of a report: until the year 2286. */
const TIME_DIGITS = 10;

/**
 * Aggregate reports in the making in Redis 6 or later, using the optional package `redis`. All hosts with the same Redis, prefix and
 * `period` share the reports; one of them sends them.
 *
 * The first request connects. If Redis is unavailable, a request fails at once, and the next one connects again. If Redis does not
 * reply, all pending requests fail after `timeout`, and further ones at once during `retryAfter`. Commands are not queued to be
 * sent later.
 */
export class RedisReportStore implements DmarcReportStore {
  readonly #redis: RedisRequests;
  readonly #limits: ReportLimits;

  /**
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without the package; ERR_MILTER_BAD_ARGUMENT for invalid options
   */
  constructor(options: RedisReportStoreOptions = {}) {
    const { period, maxRows, maxRowsPerReport, ...connection } = options;
    this.#limits = checkReportLimits('RedisReportStore', { period, maxRows, maxRowsPerReport });
    this.#redis = new RedisRequests({ name: 'RedisReportStore', contents: 'dmarc-reports' }, connection);
  }

  async add({ policy, row }: ReportEntry, now: number): Promise<boolean> {
    const { period, maxRows, maxRowsPerReport } = this.#limits;
    const begin = Math.floor(now / 1000 / period) * period;
    const end = begin + period - 1;
    const policyText = JSON.stringify(policy);
    // Names sort by the end of their periods: the report that is due is always the first.
    const digest = createHash('sha256').update(`${begin} ${policyText}`).digest('hex').slice(0, 32);
    const name = `${String(end).padStart(TIME_DIGITS, '0')}-${digest}`;
    const rowText = JSON.stringify(row);
    const args = [name, begin, end, policyText, rowText, maxRows, maxRowsPerReport];
    return (await this.#redis.eval<number>(ADD, this.#keys(name), args)) === 1;
  }

  async next(now: number, after = ''): Promise<StoredReport | undefined> {
    const args = [Math.floor(now / 1000), after, this.#keyOf('report:')];
    const [names, counts] = this.#keys('');
    let found: [] | [string, string[]] | null;
    do found = await this.#redis.eval<typeof found>(NEXT, [names, counts], args);
    while (found === null);
    if (found.length === 0) return undefined;
    const [id, list] = found;
    const fields = new Map<string, string>();
    for (let at = 0; at < list.length; at += 2) fields.set(list[at] as string, list[at + 1] as string);
    const fact = (name: string) => {
      const value = fields.get(name) as string;
      fields.delete(name);
      return value;
    };
    const [policy, begin, end] = [fact('policy'), fact('begin'), fact('end')];
    return {
      id,
      begin: Number(begin),
      end: Number(end),
      policy: JSON.parse(policy) as ReportPolicy,
      // In an order that is the same for each try to send the report.
      rows: [...fields].sort(byText).map(([row, count]) => ({
        row: JSON.parse(row) as ReportRow,
        count: Number(count),
      })),
    };
  }

  async remove(id: string): Promise<void> {
    await this.#redis.eval(REMOVE, this.#keys(id), [id]);
  }

  async close(): Promise<void> {
    await this.#redis.close();
  }

  #keys(name: string): [names: string, counts: string, report: string] {
    return [this.#keyOf('names'), this.#keyOf('rows'), this.#keyOf(`report:${name}`)];
  }

  #keyOf(name: string): string {
    return this.#redis.prefix + name;
  }
}

const byText = ([one]: [string, string], [other]: [string, string]): number => (one < other ? -1 : 1);
