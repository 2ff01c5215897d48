/** One trial: a fresh filter, a load to warm up, the load that counts. */
import { type LoadResult, load } from '../tools/load';
import { type Contender, contenders } from './contenders';
import { Filter } from './filter';
import { cpuSeconds, forgetPeak, resident } from './proc';
import type { DirectRow, Metric } from './rows';

/** A trial's figures, as far as its kind of row has them. */
export type Figures = Partial<Record<Metric, number>>;

/** What a trial tells. */
export interface Trial {
  readonly figures: Figures;
  /** The libmilter that the filter ran on. */
  readonly libmilter?: string;
}

/** What tools/load.ts does not know of bench/load.c's answer. */
type Outcome = LoadResult & { readonly added: number; readonly wrong: number };

/** How many messages of a load go before it, so that compilers, threads and buffers are there. */
export const warmUpOf = (messages: number) => Math.max(1, Math.round(messages / 5));
/** From so many connections on, what the process takes for itself is little beside what they take. */
const MANY = 100;
/** Milliseconds after which a load has hung. */
const LOAD_MS = 180_000;

/** The messages per connection that a row sends. */
export function messagesOf(row: DirectRow, quick: boolean): number {
  return quick ? row.load.quick : row.load.messages;
}

/** Measures a contender once. @throws where it does not start, breaks off, or answers wrongly */
export async function measure(row: DirectRow, contender: Contender, quick: boolean): Promise<Trial> {
  await using filter = await Filter.start(contender, row.work);
  const libmilter = filter.libmilter;
  if (libmilter.length !== 1)
    throw new Error(`${contender.name} has loaded ${libmilter.join(' and ') || 'no libmilter'}`);
  const messages = messagesOf(row, quick);
  const send = (count: number) => sendLoad(row, filter, contender, count);
  // Before the warm-up, whose connections already take what the filter will not give back.
  forgetPeak(filter.pid);
  const before = resident(filter.pid).now;
  await send(warmUpOf(messages));
  const cpuBefore = cpuSeconds(filter.pid);
  const outcome = await send(messages);
  filter.check();
  const cpu = cpuSeconds(filter.pid) - cpuBefore;
  const { peak } = resident(filter.pid);
  const { perSecond, p50, p99 } = outcome;
  const { connections } = row.load;
  return {
    libmilter: libmilter.join(),
    figures: {
      perSecond,
      megabytesPerSecond: (perSecond * row.load.body) / 1e6,
      p50,
      p99,
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
  const { connections, headers, body, pause } = row.load;
  const outcome = await generate(filter.socket, { connections, messages, headers, body, pause });
  // A filter without handlers adds no header; each other one, one to each message.
  const added = contender === contenders.C_NOOP ? 0 : connections * messages;
  if (outcome.messages !== connections * messages || outcome.added !== added) {
    throw new Error(`${contender.name}: ${JSON.stringify(outcome)} of ${connections} x ${messages} messages`);
  }
  return outcome;
}

/** The load generator's exit code says that something went wrong, its output what. */
async function generate(socket: string, what: Parameters<typeof load>[1]): Promise<Outcome> {
  try {
    return (await load(socket, what, LOAD_MS)) as Outcome;
  } catch (error) {
    const { stdout, message } = error as Error & { stdout?: string };
    throw new Error(`the load failed: ${stdout?.trim() || message}`);
  }
}
