/** The measurements, as data: each row is one load, the contenders that take it, and what is expected of them. */
import { type Contender, contenders, onInet, type Work } from './contenders';

const {
  C,
  C_NOREPLY,
  C_HEADERS,
  C_ONE,
  C_ONE_EACH,
  C_ONE_NOREPLY,
  C_NODE,
  C_NODE_LOADED,
  C_NODE_NOREPLY,
  JS_NODE,
  JS_NODE_FRESH,
  JS_NODE_NOREPLY,
  C_NOOP,
  C_EOM,
  PYMILTER,
  PYMILTER_NOREPLY,
  PYMILTER_EOM,
  MILTER,
  MILTER_NOREPLY,
  IMMEDIATE,
  MILTER_EOM,
  WORKER_1,
  WORKERS_2,
  WORKERS_2_NOREPLY,
  NONE,
} = contenders;

/** The figures of a trial. */
export type Metric =
  /** Messages a second. */
  | 'perSecond'
  /** Megabytes (10^6) of body a second. */
  | 'megabytesPerSecond'
  /** Milliseconds from the final dot to its reply. */
  | 'p50'
  | 'p99'
  /** Milliseconds from the moment at which a message of an open load was due to its last reply. */
  | 'whole50'
  | 'whole99'
  /** Milliseconds for a message from end to end, on one connection. */
  | 'perMessage'
  /** CPU seconds of the filter for 1,000 messages. */
  | 'cpuPer1000'
  /** Resident KiB that the load adds at its peak, per connection. */
  | 'kibPerConnection'
  /** Resident MiB at the peak. */
  | 'peakMib'
  /** Milliseconds from the start of the process to its first reply. */
  | 'startup';

/** What a figure is compared with: a contender's, that of ideal service, or a fixed number. */
export type Against = Contender | 'ideal' | 'itself';

/** An expectation about the medians of one run. */
export interface Target {
  readonly of: Contender;
  readonly metric: Metric;
  readonly against: Against;
  /** Subtracted from both first: the floor that no filter can go below. */
  readonly above?: Contender;
  /** Limits of the ratio, or of the figure if it is compared with `itself`. Without limits it is reported, not judged. */
  readonly least?: number;
  readonly most?: number;
  /** Why it may be missed, with the contender of the same run that shows it. */
  readonly bound?: string;
}

/** A load of tools/load.c. */
export interface Load {
  readonly connections: number;
  /** Messages per connection, in a whole run and in a quick one. */
  readonly messages: number;
  readonly quick: number;
  readonly headers: number;
  /** Bytes. */
  readonly body: number;
  /** Milliseconds between SMTP commands. */
  readonly pause: number;
  /** Messages a second that are offered, all connections together. Default: as many as the filter takes. */
  readonly rate?: number;
}

interface CommonRow {
  /** Its name for --only. */
  readonly name: string;
  readonly title: string;
  readonly contenders: readonly Contender[];
  readonly targets: readonly Target[];
}

/** The load goes straight to the filter. */
export interface DirectRow extends CommonRow {
  readonly kind: 'direct';
  readonly load: Load;
  readonly work: Work;
}

/** smtp-source sends to an MTA, which uses the filter. */
export interface MtaRow extends CommonRow {
  readonly kind: 'mta';
  readonly mta: 'postfix' | 'sendmail';
  readonly load: MtaLoad;
}

/** A load of Postfix's smtp-source. */
export interface MtaLoad {
  readonly sessions: number;
  /** All messages, in a whole run and in a quick one. */
  readonly messages: number;
  readonly quick: number;
  /** Bytes. */
  readonly body: number;
}

export type Row = DirectRow | MtaRow;

const KIB = 1024;
const MIB = 1024 * KIB;

const ALL = [
  C,
  MILTER,
  C_ONE,
  C_NODE,
  JS_NODE,
  PYMILTER,
  IMMEDIATE,
  C_ONE_EACH,
  PYMILTER_NOREPLY,
  C_NOREPLY,
  MILTER_NOREPLY,
  C_ONE_NOREPLY,
  C_NODE_NOREPLY,
  JS_NODE_NOREPLY,
  C_HEADERS,
  WORKERS_2,
  WORKERS_2_NOREPLY,
];
const LONG_BODY = [
  C,
  MILTER,
  C_ONE,
  C_NODE,
  JS_NODE,
  JS_NODE_FRESH,
  PYMILTER,
  PYMILTER_NOREPLY,
  C_NOREPLY,
  WORKERS_2,
];

const usual = { headers: 15, body: 4 * KIB, pause: 0 };

// Why expectations may be missed. docs/performance.md explains it in full.
const REPLIES =
  'Handlers that may refuse MAIL, RCPT and DATA must reply to them, which no-reply filters do not (compare "C, our replies"). ' +
  'The rest is the cost of passing events to one thread, which C pays as well (compare "C, one thread").';
const NODE_STARTS =
  'Node and an addon take what "C on Node\'s thread" takes, and with the files of this package, some 70, what "C on Node\'s thread, ' +
  'package loaded" takes. The rest is the start of the filter.';
const HAND_OVER =
  'Each of the 22 events of a message goes to the JS thread and back. C is no faster if it does the same (compare "C, one thread, immediate").';
const ONE_HAND_OVER =
  'One handover for the message is left, and a reply to the body: "C on Node\'s thread, no reply" shows what these cost, and ' +
  '"bare JavaScript, no reply" what the strings and calls of any handler in JavaScript add. The rest is the package\'s own: macros that ' +
  'are kept with the steps, time limits, promises and errors of handlers.';
const NODE_WAKES =
  'Node wakes its thread through its event loop for each handover: "C on Node\'s thread" shows what this costs, and "bare JavaScript" ' +
  "what the strings and calls of any handler in JavaScript add. The rest is the package's own: time limits, promises and errors of handlers.";
const COPY =
  'A body is copied and passed to another thread: "C, one thread" and "C on Node\'s thread" show what this costs, and "bare JavaScript" ' +
  'what a Buffer for each chunk adds. A body that a handler has seen is never shown to another session, so each message needs memory of ' +
  'its own, which "bare JavaScript, memory for each message" has too. The rest is the package\'s own.';
const POOL =
  "libmilter's pool of workers is slow with so many connections and long pauses between commands (compare C, whose handlers do nothing).";
const NOT_THE_FILTER =
  'The MTA takes nearly all of the time, and C differs by less than the trials do among themselves (compare C and the ranges).';

/** Compared with every other contender, in messages a second. */
const RATES: readonly Target[] = [
  { of: MILTER, metric: 'perSecond', against: PYMILTER, least: 2 },
  { of: MILTER, metric: 'perSecond', against: C, least: 1.3, bound: NODE_WAKES },
  { of: MILTER, metric: 'perSecond', against: PYMILTER_NOREPLY, least: 1.2, bound: REPLIES },
  { of: MILTER, metric: 'perSecond', against: C_NOREPLY, least: 0.6, bound: REPLIES },
  // Why the line before may be missed: a filter in C that replies to MAIL, RCPT, DATA and the body is no faster, and one whose
  // handlers run on one thread is slower.
  { of: C_HEADERS, metric: 'perSecond', against: C_NOREPLY },
  { of: C_ONE, metric: 'perSecond', against: C_NOREPLY },
  { of: MILTER, metric: 'perSecond', against: C_ONE, least: 0.92, bound: NODE_WAKES },
  { of: C_NODE, metric: 'perSecond', against: C_ONE },
  { of: JS_NODE, metric: 'perSecond', against: C_ONE },
  { of: IMMEDIATE, metric: 'perSecond', against: PYMILTER, least: 0.8, bound: HAND_OVER },
  { of: C_ONE_EACH, metric: 'perSecond', against: PYMILTER },
  { of: IMMEDIATE, metric: 'perSecond', against: C_ONE_EACH },
  { of: WORKERS_2, metric: 'perSecond', against: MILTER },
  { of: MILTER_NOREPLY, metric: 'perSecond', against: PYMILTER_NOREPLY, least: 2, bound: ONE_HAND_OVER },
  { of: MILTER_NOREPLY, metric: 'perSecond', against: C_NOREPLY, least: 0.65, bound: ONE_HAND_OVER },
  { of: C_ONE_NOREPLY, metric: 'perSecond', against: C_NOREPLY },
  { of: C_NODE_NOREPLY, metric: 'perSecond', against: C_NOREPLY },
  { of: JS_NODE_NOREPLY, metric: 'perSecond', against: C_NOREPLY },
  { of: WORKERS_2_NOREPLY, metric: 'perSecond', against: MILTER_NOREPLY },
  { of: WORKERS_2_NOREPLY, metric: 'perSecond', against: C_NOREPLY },
];

/** One handler awaits 100 ms, and 20 ms pass between SMTP commands. */
function awaiting(name: string, connections: number, peers: Awaiting, targets: readonly Target[]): DirectRow {
  const count = connections.toLocaleString('en');
  return {
    kind: 'direct',
    name,
    title: `${count} connections, 20 ms between commands, 100 ms awaited, ${peers.title}`,
    load: { connections, messages: 20, quick: 5, headers: 1, body: 100, pause: 20 },
    work: { wait: 100 },
    contenders: [peers.c, peers.milter, peers.pymilter],
    targets: [
      ...targets,
      { of: peers.c, metric: 'perSecond', against: 'ideal' },
      { of: peers.pymilter, metric: 'perSecond', against: 'ideal' },
    ],
  };
}

/** The contenders that await, and which other handlers they have. */
interface Awaiting {
  readonly title: string;
  readonly c: Contender;
  readonly milter: Contender;
  readonly pymilter: Contender;
}

const WITH_ALL: Awaiting = { title: 'all handlers', c: C, milter: MILTER, pymilter: PYMILTER };
const ALONE: Awaiting = { title: 'no other handler', c: C_EOM, milter: MILTER_EOM, pymilter: PYMILTER_EOM };

/** A thousand sessions are served as fast as one, with little memory. */
const nearIdeal = (milter: Contender): Target[] => [
  { of: milter, metric: 'perSecond', against: 'ideal', least: 0.9, bound: POOL },
  { of: milter, metric: 'kibPerConnection', against: 'itself', most: 100 },
];

/** So many messages a second, less than any filter can take: how much later does each get its reply? */
function offered(rate: number): DirectRow {
  const seconds = 10;
  const connections = 8;
  return {
    kind: 'direct',
    name: `offered-${rate}`,
    title: `${rate.toLocaleString('en')} messages/s offered on ${connections} connections, 15 headers, 4 KiB`,
    load: { connections, messages: Math.ceil((rate * seconds) / connections), quick: 2, ...usual, rate },
    work: {},
    contenders: [C_NOOP, MILTER, PYMILTER, C, C_ONE],
    targets: (['whole50', 'whole99'] as const).flatMap((metric) => [
      { of: MILTER, metric, against: PYMILTER, above: C_NOOP },
      { of: MILTER, metric, against: C, above: C_NOOP },
    ]),
  };
}

/** An MTA without a filter, with pymilter's and with ours. */
function through(mta: MtaRow['mta'], title: string): MtaRow {
  return {
    kind: 'mta',
    name: mta,
    title: `${title}, 8 SMTP sessions, 4 KiB`,
    mta,
    load: { sessions: 8, messages: 3_000, quick: 300, body: 4 * KIB },
    contenders: [PYMILTER, MILTER, C, NONE],
    targets: [
      { of: MILTER, metric: 'perSecond', against: PYMILTER, least: 1, bound: NOT_THE_FILTER },
      { of: C, metric: 'perSecond', against: PYMILTER },
      { of: MILTER, metric: 'perSecond', against: NONE },
    ],
  };
}

export const rows: readonly Row[] = [
  {
    kind: 'direct',
    name: 'one',
    title: '1 connection, 15 headers, 4 KiB',
    load: { connections: 1, messages: 3_000, quick: 300, ...usual },
    work: {},
    contenders: [C_NOOP, ...ALL, C_NODE_LOADED],
    targets: [
      {
        of: MILTER,
        metric: 'perMessage',
        against: PYMILTER_NOREPLY,
        above: C_NOOP,
        most: 1,
        bound: REPLIES,
      },
      { of: C_HEADERS, metric: 'perMessage', against: PYMILTER_NOREPLY, above: C_NOOP },
      { of: C_ONE, metric: 'perMessage', against: PYMILTER_NOREPLY, above: C_NOOP },
      { of: MILTER, metric: 'perMessage', against: C_ONE, above: C_NOOP },
      { of: C_NODE, metric: 'perMessage', against: C_ONE, above: C_NOOP },
      { of: JS_NODE, metric: 'perMessage', against: C_ONE, above: C_NOOP },
      {
        of: MILTER_NOREPLY,
        metric: 'perMessage',
        against: PYMILTER_NOREPLY,
        above: C_NOOP,
        most: 1.3,
        bound: ONE_HAND_OVER,
      },
      { of: C_NODE_NOREPLY, metric: 'perMessage', against: PYMILTER_NOREPLY, above: C_NOOP },
      { of: JS_NODE_NOREPLY, metric: 'perMessage', against: PYMILTER_NOREPLY, above: C_NOOP },
      { of: MILTER, metric: 'startup', against: 'itself', most: 30, bound: NODE_STARTS },
      { of: C_NODE, metric: 'startup', against: 'itself' },
      { of: C_NODE_LOADED, metric: 'startup', against: 'itself' },
      { of: MILTER, metric: 'perMessage', against: PYMILTER, above: C_NOOP },
    ],
  },
  {
    kind: 'direct',
    name: 'eight',
    title: '8 connections, 15 headers, 4 KiB',
    load: { connections: 8, messages: 6_000, quick: 100, ...usual },
    work: {},
    contenders: ALL,
    targets: RATES,
  },
  {
    kind: 'direct',
    name: 'thirty-two',
    title: '32 connections, 15 headers, 4 KiB',
    load: { connections: 32, messages: 1_500, quick: 30, ...usual },
    work: {},
    contenders: ALL,
    targets: RATES,
  },
  {
    kind: 'direct',
    name: 'headers',
    title: '8 connections, 60 headers, 4 KiB',
    load: { connections: 8, messages: 500, quick: 50, headers: 60, body: 4 * KIB, pause: 0 },
    work: {},
    contenders: ALL,
    targets: [
      { of: MILTER, metric: 'perSecond', against: PYMILTER },
      { of: MILTER, metric: 'perSecond', against: C },
    ],
  },
  {
    kind: 'direct',
    name: 'mebibyte',
    title: '8 connections, 15 headers, 1 MiB',
    load: { connections: 8, messages: 200, quick: 20, headers: 15, body: MIB, pause: 0 },
    work: {},
    contenders: LONG_BODY,
    targets: [
      { of: MILTER, metric: 'megabytesPerSecond', against: C, least: 0.9, bound: COPY },
      { of: C_ONE, metric: 'megabytesPerSecond', against: C },
      { of: C_NODE, metric: 'megabytesPerSecond', against: C },
      { of: JS_NODE, metric: 'megabytesPerSecond', against: C },
      { of: JS_NODE_FRESH, metric: 'megabytesPerSecond', against: C },
      { of: MILTER, metric: 'megabytesPerSecond', against: PYMILTER },
      { of: WORKERS_2, metric: 'megabytesPerSecond', against: MILTER },
      { of: WORKERS_2, metric: 'megabytesPerSecond', against: C },
    ],
  },
  {
    kind: 'direct',
    name: 'twenty-mebibytes',
    title: '4 connections, 15 headers, 20 MiB',
    load: { connections: 4, messages: 20, quick: 3, headers: 15, body: 20 * MIB, pause: 0 },
    work: {},
    contenders: LONG_BODY,
    targets: [
      { of: MILTER, metric: 'megabytesPerSecond', against: C, least: 0.7, bound: COPY },
      { of: C_ONE, metric: 'megabytesPerSecond', against: C },
      { of: C_NODE, metric: 'megabytesPerSecond', against: C },
      { of: JS_NODE, metric: 'megabytesPerSecond', against: C },
      { of: JS_NODE_FRESH, metric: 'megabytesPerSecond', against: C },
      { of: MILTER, metric: 'megabytesPerSecond', against: C_ONE },
      { of: MILTER, metric: 'megabytesPerSecond', against: C_NOREPLY },
      { of: MILTER, metric: 'megabytesPerSecond', against: PYMILTER, least: 1, bound: COPY },
      { of: JS_NODE, metric: 'megabytesPerSecond', against: PYMILTER },
      { of: WORKERS_2, metric: 'megabytesPerSecond', against: MILTER },
      { of: WORKERS_2, metric: 'megabytesPerSecond', against: C },
    ],
  },
  awaiting('await-200', 200, WITH_ALL, [{ of: MILTER, metric: 'perSecond', against: 'ideal' }]),
  awaiting('await-1000', 1_000, WITH_ALL, nearIdeal(MILTER)),
  awaiting('await-1000-eom', 1_000, ALONE, nearIdeal(MILTER_EOM)),
  {
    kind: 'direct',
    name: 'burn',
    title: '16 connections, 2 ms of CPU in a handler, 1 header, 100 bytes',
    load: { connections: 16, messages: 100, quick: 20, headers: 1, body: 100, pause: 0 },
    work: { burn: 2 },
    contenders: [WORKER_1, WORKERS_2, PYMILTER, C, MILTER],
    targets: [
      { of: WORKERS_2, metric: 'perSecond', against: WORKER_1, least: 1.8 },
      { of: WORKERS_2, metric: 'perSecond', against: PYMILTER, least: 1.8 },
    ],
  },
  offered(10),
  offered(100),
  offered(1_000),
  through('postfix', 'Postfix'),
  through('sendmail', 'Sendmail'),
  {
    kind: 'mta',
    name: 'sendmail-inet',
    title: 'Sendmail and a filter on inet, 8 SMTP sessions, 4 KiB',
    mta: 'sendmail',
    load: { sessions: 8, messages: 500, quick: 50, body: 4 * KIB },
    contenders: [MILTER, onInet(MILTER), onInet(PYMILTER)],
    targets: [
      { of: onInet(MILTER), metric: 'perSecond', against: MILTER, least: 0.7 },
      { of: onInet(MILTER), metric: 'perSecond', against: onInet(PYMILTER) },
    ],
  },
];

/**
 * Messages a second if only the pauses and the awaited handler took time.
 * @param messages per connection
 * @returns undefined if there is neither
 */
export function idealRate(row: Row, messages: number): number | undefined {
  if (row.kind === 'mta') return undefined;
  const { connections, pause } = row.load;
  const { wait = 0 } = row.work;
  if (pause + wait === 0) return undefined;
  // A pause follows CONNECT and HELO, then MAIL, RCPT, DATA and the final dot of each message.
  const milliseconds = 2 * pause + messages * (4 * pause + wait);
  return (connections * messages * 1000) / milliseconds;
}
