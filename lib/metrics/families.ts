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

export const FAMILIES = {
  tsmilter_sessions_total: { type: 'counter', help: 'SMTP sessions that have begun.' },
  tsmilter_sessions_open: { type: 'gauge', help: 'SMTP sessions that are open.' },
  tsmilter_session_verdicts_total: {
    type: 'counter',
    help: 'Verdicts other than continue on whole sessions, by verdict and step.',
  },
  tsmilter_messages_total: {
    type: 'counter',
    help: 'Messages that have ended, by verdict (abort: without one) and the step that gave it.',
  },
  tsmilter_recipients_total: {
    type: 'counter',
    help: 'Recipients that the filter was asked about, by verdict.',
  },
  tsmilter_changes_total: { type: 'counter', help: 'Actions called for messages, by action.' },
  tsmilter_body_bytes_total: { type: 'counter', help: 'Bytes of body that handlers were given.' },
  tsmilter_handler_seconds: {
    type: 'histogram',
    help: 'Seconds that handlers took, including what they awaited, by step.',
    bounds: SECONDS,
  },
  tsmilter_batch_events: {
    type: 'histogram',
    help: 'Events that were handed over together.',
    bounds: EVENTS,
  },
  tsmilter_interrupted_total: {
    type: 'counter',
    help: 'Questions of the MTA that were answered without the handler: expired, released (the filter stops), write_failed.',
  },
  tsmilter_event_loop_lag_seconds: {
    type: 'gauge',
    help: 'Delay of timers in a thread that serves sessions, since the last time it was read: mean, p99, max.',
  },
  tsmilter_workers: { type: 'gauge', help: 'Worker threads that take sessions.' },
  tsmilter_worker_deaths_total: { type: 'counter', help: 'Worker threads that have died.' },
  tsmilter_dns_lookups_total: {
    type: 'counter',
    help: 'DNS lookups by result: cached, found, nothing, failed.',
  },
  tsmilter_dns_seconds: { type: 'histogram', help: 'Seconds that DNS lookups took.', bounds: SECONDS },
  tsmilter_redis_requests_total: { type: 'counter', help: 'Requests to Redis by result: ok, failed.' },
  tsmilter_redis_seconds: {
    type: 'histogram',
    help: 'Seconds that requests to Redis took.',
    bounds: SECONDS,
  },
} as const satisfies Readonly<Record<string, Family>>;

/** The name of a metric. */
export type FamilyName = keyof typeof FAMILIES;
export const FAMILY_NAMES = Object.keys(FAMILIES) as FamilyName[];
