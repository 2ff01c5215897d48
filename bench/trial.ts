/** One trial: a fresh filter, a load as a warm-up, and the load that counts. */
import { type LoadResult, load } from '../tools/load';
import { type Contender, contenders } from './contenders';
import { Filter } from './filter';
import { cpuSeconds, forgetPeak, resident } from './proc';
import type { DirectRow, Metric } from './rows';

/** A trial's figures, as far as its kind of row has them. */
export type Figures = Partial<Record<Metric, number>>;

/** The result of a trial. */
export interface Trial {
  readonly figures: Figures;
  /** The libmilter that the filter used. */
  readonly libmilter?: string;
}

/** load.c's result with the fields that only the benchmark needs. */
type Outcome = LoadResult & { readonly added: number; readonly wrong: number };

/** The messages of the warm-up, after which code is compiled, threads are started and buffers are allocated. */
export const warmUpOf = (messages: number) => Math.max(1, Math.round(messages / 5));
/** From this many connections on, they take much more memory than the process itself. */
const MANY = 100;
/** Milliseconds after which a load is taken to hang. */
const LOAD_TIMEOUT = 180_000;

/** The messages per connection that a row sends. */
export function messagesOf(row: DirectRow, quick: boolean): number {
  return quick ? row.load.quick : row.load.messages;
}

/** Measures a contender once. @throws if it does not start, fails, or replies wrongly */
export async function measure(row: DirectRow, contender: Contender, quick: boolean): Promise<Trial> {
  await using filter = await Filter.start(contender, row.work);
  const libmilter = filter.libmilter;
  if (libmilter.length !== 1)
    throw new Error(`${contender.name} has loaded ${libmilter.join(' and ') || 'no libmilter'}`);
  const messages = messagesOf(row, quick);
  const send = (count: number) => sendLoad(row, filter, contender, count);
  // Before the warm-up, because the filter does not give back the memory that its connections take.
  forgetPeak(filter.pid);
  const before = resident(filter.pid).now;
  await send(warmUpOf(messages));
  const cpuBefore = cpuSeconds(filter.pid);
  const outcome = await send(messages);
  filter.check();
  const cpu = cpuSeconds(filter.pid) - cpuBefore;
  const { peak } = resident(filter.pid);
  const { perSecond, p50, p99, whole50, whole99 } = outcome;
  const { connections } = row.load;
  return {
    libmilter: libmilter.join(),
    figures: {
      perSecond,
      megabytesPerSecond: (perSecond * row.load.body) / 1e6,
      p50,
      p99,
      ...(whole50 === undefined ? {} : { whole50 }),
      ...(whole99 === undefined ? {} : { whole99 }),
      ...(connections === 1 ? { perMessage: 1000 / perSecond } : {}),
      cpuPer1000: (cpu / outcome.messages) * 1000,
      ...(connections >= MANY ? { kibPerConnection: (peak - before) / 1024 / connections } : {}),
      peakMib: peak / 2 ** 20,
      startup: filter.startup,
    },
  };
}

async function sendLoad(
  row: DirectRow,
  filter: Filter,
  contender: Contender,
  messages: number,
): Promise<Outcome> {
  const { connections } = row.load;
  const outcome = (await load(filter.socket, { ...row.load, messages }, LOAD_TIMEOUT)) as Outcome;
  // A filter without handlers adds no header; every other one adds one to each message.
  const added = contender === contenders.C_NOOP ? 0 : connections * messages;
  if (outcome.messages !== connections * messages || outcome.added !== added) {
    throw new Error(`${contender.name}: ${JSON.stringify(outcome)} of ${connections} x ${messages} messages`);
  }
  return outcome;
}
