/** Counts what happens in the sessions of one thread, and in the helpers that its handlers use. */
import diagnosticsChannel from 'node:diagnostics_channel';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { STEP_NAMES } from '../addon/steps.js';
import { DNS_CHANNEL, type HelperEvent, REDIS_CHANNEL } from '../internal/helper-events.js';
import type { MessageRecord, Outcome } from '../session/message-record.js';
import type { Observer, SessionFacts } from '../session/observer.js';
import { FAMILIES } from './families.js';
import { observe, SeriesSet, type SeriesValue, type Snapshot } from './series.js';

const SECONDS = FAMILIES.tsmilter_handler_seconds.bounds;
const EVENTS = FAMILIES.tsmilter_batch_events.bounds;
/** Milliseconds between the timers that measure the event loop's lag. */
const LAG_RESOLUTION = 20;

export class ThreadMetrics implements Observer {
  readonly #all = new SeriesSet();
  readonly #thread: string;
  readonly #lag: IntervalHistogram;
  readonly #handlers: readonly SeriesValue[];
  readonly #batches = this.#all.series('tsmilter_batch_events');
  readonly #sessions = this.#all.series('tsmilter_sessions_total');
  readonly #open = this.#all.series('tsmilter_sessions_open');
  readonly #bytes = this.#all.series('tsmilter_body_bytes_total');

  /** @param thread its name in the event loop's lag: `main`, or a worker's number */
  constructor(thread: string) {
    this.#thread = thread;
    this.#handlers = STEP_NAMES.map((step) => this.#all.series('tsmilter_handler_seconds', { step }));
    this.#lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION });
    this.#lag.enable();
    diagnosticsChannel.subscribe(DNS_CHANNEL, this.#onDns);
    diagnosticsChannel.subscribe(REDIS_CHANNEL, this.#onRedis);
  }

  // --- Observer

  sessionBegun(): void {
    this.#sessions.value++;
    this.#open.value++;
  }

  sessionEnded(): void {
    this.#open.value--;
  }

  handled(_session: SessionFacts, step: number, milliseconds: number): void {
    observe(this.#handlers[step] as SeriesValue, SECONDS, milliseconds / 1000);
  }

  answered(_session: SessionFacts, events: number): void {
    observe(this.#batches, EVENTS, events);
  }

  sessionDecided(_session: SessionFacts, step: number, verdict: Outcome): void {
    this.#all.add('tsmilter_session_verdicts_total', { verdict, step: STEP_NAMES[step] as string });
  }

  messageEnded(_session: SessionFacts, message: MessageRecord): void {
    const { outcome, step, recipientCount, refusedCount, changes, bodyBytes } = message;
    this.#all.add('tsmilter_messages_total', { verdict: outcome, step: STEP_NAMES[step] as string });
    this.#bytes.value += bodyBytes;
    const taken = recipientCount - refusedCount;
    if (taken > 0) this.#all.add('tsmilter_recipients_total', { verdict: 'taken' }, taken);
    if (refusedCount > 0) this.#all.add('tsmilter_recipients_total', { verdict: 'refused' }, refusedCount);
    for (const [action, count] of changes) this.#all.add('tsmilter_changes_total', { action }, count);
  }

  // --- what happens outside of sessions

  workerDied(): void {
    this.#all.add('tsmilter_worker_deaths_total', {});
  }

  readonly #onDns = (event: unknown): void => this.#helper('dns', event as HelperEvent);
  readonly #onRedis = (event: unknown): void => this.#helper('redis', event as HelperEvent);

  #helper(helper: 'dns' | 'redis', { result, milliseconds }: HelperEvent): void {
    this.#all.add(helper === 'dns' ? 'tsmilter_dns_lookups_total' : 'tsmilter_redis_requests_total', {
      result,
    });
    if (result === 'cached') return;
    const name = helper === 'dns' ? 'tsmilter_dns_seconds' : 'tsmilter_redis_seconds';
    observe(this.#all.series(name), SECONDS, milliseconds / 1000);
  }

  // --- reading

  /** The values now. @param resetsLag whether the event loop's lag begins anew, because this reading is for a client */
  snapshot(resetsLag: boolean): Snapshot {
    const { mean, max } = this.#lag;
    for (const [quantile, nanoseconds] of Object.entries({ mean, p99: this.#lag.percentile(99), max })) {
      const lag = this.#all.series('tsmilter_event_loop_lag_seconds', { thread: this.#thread, quantile });
      // The histogram holds the time between two timers.
      lag.value = Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - LAG_RESOLUTION / 1000) : 0;
    }
    if (resetsLag) this.#lag.reset();
    return this.#all.snapshot();
  }

  /** No further events are counted. */
  close(): void {
    this.#lag.disable();
    diagnosticsChannel.unsubscribe(DNS_CHANNEL, this.#onDns);
    diagnosticsChannel.unsubscribe(REDIS_CHANNEL, this.#onRedis);
  }
}
