/** The metrics by name: what each counts, and the bounds of histograms. */

/** One metric. */
export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Upper bounds of a histogram's buckets. */
  readonly bounds?: readonly number[];
}

/** Seconds, from what a handler without I/O takes to a timeout. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const EVENTS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

const counter = (help: string) => ({ type: 'counter', help }) as const;
const gauge = (help: string) => ({ type: 'gauge', help }) as const;
const histogram = (bounds: readonly number[], help: string) => ({ type: 'histogram', help, bounds }) as const;

export const FAMILIES = {
  tsmilter_sessions_total: counter('SMTP sessions that have begun.'),
  tsmilter_sessions_open: gauge('SMTP sessions that are open.'),
  tsmilter_session_verdicts_total: counter(
    'Verdicts other than continue on whole sessions, by verdict and step.',
  ),
  tsmilter_messages_total: counter(
    'Messages that have ended, by verdict (abort: without one) and the step that gave it.',
  ),
  tsmilter_recipients_total: counter('Recipients that the filter was asked about, by verdict.'),
  tsmilter_changes_total: counter('Actions called for messages, by action.'),
  tsmilter_body_bytes_total: counter('Bytes of body that handlers were given.'),
  tsmilter_handler_seconds: histogram(
    SECONDS,
    'Seconds that handlers took, including what they awaited, by step.',
  ),
  tsmilter_batch_events: histogram(EVENTS, 'Events that were handed over together.'),
  tsmilter_interrupted_total: counter(
    'Answers that the MTA got in place of handlers, by reason: expired, released, write_failed, stopping, unavailable, no_memory.',
  ),
  tsmilter_event_loop_lag_seconds: gauge(
    'Delay of timers in a thread that serves sessions, since the last time it was read: mean, p99, max.',
  ),
  tsmilter_workers: gauge('Worker threads that take sessions.'),
  tsmilter_worker_deaths_total: counter('Worker threads that have died.'),
  tsmilter_dns_lookups_total: counter('DNS lookups by result: cached, found, nothing, failed.'),
  tsmilter_dns_seconds: histogram(SECONDS, 'Seconds that DNS lookups took.'),
  tsmilter_redis_requests_total: counter('Requests to Redis by result: ok, failed.'),
  tsmilter_redis_seconds: histogram(SECONDS, 'Seconds that requests to Redis took.'),
} as const satisfies Readonly<Record<string, Family>>;

/** The name of a metric. */
export type FamilyName = keyof typeof FAMILIES;
export const FAMILY_NAMES = Object.keys(FAMILIES) as FamilyName[];
