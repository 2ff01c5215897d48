/** Metrics by themselves: options, sums over threads, the text for Prometheus, health, spans, and the dashboard. */

import { spawnSync } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it, jest } from '@jest/globals';
import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import * as Milter from 'tsmilter';
import { CONNECT, EOM } from '#lib/addon/steps.js';
import { DNS_CHANNEL } from '#lib/internal/helper-events.js';
import { Exposition, loadPromClient } from '#lib/metrics/exposition.js';
import { FAMILIES, FAMILY_NAMES, type Family } from '#lib/metrics/families.js';
import {
  BLOCKED_AFTER,
  HealthPhase,
  isOld,
  SharedHealth,
  sharedClock,
  WORKERLESS_AFTER,
} from '#lib/metrics/health.js';
import { addInterruptions } from '#lib/metrics/interruptions.js';
import { messageTraces } from '#lib/metrics/message-traces.js';
import { type MetricsOptions, normaliseMetricsOptions } from '#lib/metrics/options.js';
import { SeriesSet, withoutGauges } from '#lib/metrics/series.js';
import type { ScrapeReply, ServerMessage, ServerStart } from '#lib/metrics/server-thread.js';
import { ThreadMetrics } from '#lib/metrics/thread-metrics.js';
import { runtime } from '#lib/runtime/runtime.js';
import { MessageRecord } from '#lib/session/message-record.js';
import { combineObservers, NO_SESSION, type Observer } from '#lib/session/observer.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root';
import { within } from '../../tools/wait.js';
import { errorWith } from '../support/expect';

/** Bytes of the path of a unix socket; elsewhere than on Linux at most 103. */
const LONGEST_PATH = 107;

describe('options', () => {
  it.each([
    ['inet:9464', { host: '127.0.0.1', port: 9464 }],
    ['inet:0@192.0.2.1', { host: '192.0.2.1', port: 0 }],
    ['inet:9464@localhost', { host: 'localhost', port: 9464 }],
    ['inet6:9464', { host: '::1', port: 9464 }],
    ['inet6:9464@[2001:db8::1]', { host: '2001:db8::1', port: 9464 }],
    ['unix:/run/f/metrics', { path: '/run/f/metrics' }],
    ['unix:metrics', { path: join(process.cwd(), 'metrics') }],
    [`unix:/${'n'.repeat(LONGEST_PATH - 1)}`, { path: `/${'n'.repeat(LONGEST_PATH - 1)}` }],
  ])('%s', (metrics, address) => expect(normaliseMetricsOptions({ metrics })).toStrictEqual(address));

  it.each(['n'.repeat(LONGEST_PATH), 'é'.repeat((LONGEST_PATH + 1) / 2)])(
    'a path that the system would cut off is refused: unix:/%s',
    (name) => {
      expect(() => normaliseMetricsOptions({ metrics: `unix:/${name}` })).toThrow(
        errorWith({ code: 'ENAMETOOLONG', message: /has 1\d\d bytes, .* choose a shorter path/ }),
      );
    },
  );

  it.each(['', '9464', 'inet:x', 'inet:65536', 'inet:1@host.example', 'unix:', 9464, null])(
    '%j is refused',
    (metrics) => {
      expect(() => normaliseMetricsOptions({ metrics } as MetricsOptions)).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message: /metrics/ }),
      );
    },
  );
});

/** A message that has ended. */
function ended(outcome: MessageRecord['outcome'], bytes = 10): MessageRecord {
  const message = new MessageRecord();
  Object.assign(message, {
    outcome,
    step: EOM,
    bodyBytes: bytes,
    recipientCount: 3,
    refusedCount: 1,
    queueId: 'Q1',
  });
  message.addChange('addheader');
  return message;
}

describe('the server', () => {
  /** The thread of the server on a unix socket, with the test in the place of the filter. */
  async function started(
    directory: string,
    onScrape: (port: MessagePort) => void,
  ): Promise<[Worker, string]> {
    const path = join(directory, 'metrics');
    const { port1, port2 } = new MessageChannel();
    const health = new SharedHealth();
    health.beat(null);
    health.phase = HealthPhase.serving;
    const start: ServerStart = { address: { path }, health: health.memory, port: port2 };
    const file = require.resolve('#lib/metrics/server-thread.js');
    const thread = new Worker(file, { workerData: start, transferList: [port2] });
    thread.once('exit', () => port1.close());
    const listening = new Promise<void>((resolve) => {
      port1.on('message', (message: ServerMessage) => {
        if (message === 'scrape') onScrape(port1);
        else resolve();
      });
    });
    await within('the server to listen', listening);
    return [thread, path];
  }

  /** The status codes of the responses to requests that are sent at once on one connection. */
  async function statuses(path: string, requests: readonly string[]): Promise<string[]> {
    const client = connect(path).setEncoding('latin1');
    client.write(requests.map((url) => `GET ${url} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
    let text = '';
    for await (const chunk of client) {
      text += chunk;
      const found = text.match(/^HTTP\/1\.1 \d+/gm) ?? [];
      if (found.length === requests.length) return found.map((line) => line.slice(-3));
    }
    throw new Error(`the connection has ended after ${text}`);
  }

  it('asks the filter for one scrape at a time, whatever clients send', async () => {
    const directory = privateDirectory('metrics');
    let [unanswered, most] = [0, 0];
    let socket = '';
    const [thread, path] = await started(directory, async (port) => {
      most = Math.max(most, ++unanswered);
      await statuses(socket, ['/healthz']).catch(() => {}); // a turn in which a second scrape could come
      unanswered--;
      port.postMessage({ text: 'metrics', contentType: 'text/plain' } satisfies ScrapeReply);
    });
    socket = path;
    try {
      const found = await statuses(path, new Array<string>(500).fill('/metrics'));
      expect([found.filter((status) => status !== '200'), most]).toStrictEqual([[], 1]);
    } finally {
      await thread.terminate();
      removeDirectory(directory);
    }
  });

  it('asks no second time while the filter has not answered', async () => {
    const directory = privateDirectory('metrics');
    let scrapes = 0;
    const [thread, path] = await started(directory, () => scrapes++);
    try {
      expect(await statuses(path, ['/metrics'])).toStrictEqual(['503']);
      expect(await statuses(path, ['/metrics', '/metrics'])).toStrictEqual(['503', '503']);
      expect(scrapes).toBe(1);
    } finally {
      await thread.terminate();
      removeDirectory(directory);
    }
  });
});

describe('several threads', () => {
  it('are added up; gauges of those that have ended are not', async () => {
    const all = new SeriesSet();
    for (const name of ['1', '2', '3']) {
      const thread = new ThreadMetrics(name);
      thread.sessionBegun();
      thread.handled(NO_SESSION, EOM, 3);
      thread.handled(NO_SESSION, EOM, 1e6);
      thread.answered(NO_SESSION, 20);
      thread.messageEnded(NO_SESSION, ended('reject'));
      thread.sessionDecided(NO_SESSION, CONNECT, 'tempfail');
      const snapshot = structuredClone(thread.snapshot(true));
      all.merge(name === '3' ? withoutGauges(snapshot) : snapshot);
      thread.close();
    }
    addInterruptions(all, [3, 0, 1, 0, 0, 2]);
    const lines = (await new Exposition(loadPromClient()).text(all.snapshot())).split('\n');
    for (const line of [
      '# TYPE tsmilter_messages_total counter',
      'tsmilter_messages_total{verdict="reject",step="eom"} 3',
      'tsmilter_sessions_total 3',
      'tsmilter_sessions_open 2',
      'tsmilter_body_bytes_total 30',
      'tsmilter_recipients_total{verdict="taken"} 6',
      'tsmilter_recipients_total{verdict="refused"} 3',
      'tsmilter_changes_total{action="addheader"} 3',
      'tsmilter_interrupted_total{reason="expired"} 3',
      'tsmilter_interrupted_total{reason="write_failed"} 1',
      'tsmilter_interrupted_total{reason="no_memory"} 2',
      'tsmilter_session_verdicts_total{verdict="tempfail",step="connect"} 3',
      '# TYPE tsmilter_handler_seconds histogram',
      'tsmilter_handler_seconds_bucket{le="0.0025",step="eom"} 0',
      'tsmilter_handler_seconds_bucket{le="0.005",step="eom"} 3',
      'tsmilter_handler_seconds_bucket{le="60",step="eom"} 3',
      'tsmilter_handler_seconds_bucket{le="+Inf",step="eom"} 6',
      'tsmilter_handler_seconds_count{step="eom"} 6',
      'tsmilter_batch_events_bucket{le="16"} 0',
      'tsmilter_batch_events_bucket{le="32"} 3',
      'tsmilter_batch_events_sum 60',
    ])
      expect(lines).toContain(line);
    expect(lines.filter((line) => /^tsmilter_event_loop_lag_seconds\{thread="[12]"/.test(line))).toHaveLength(
      6,
    );
  });
});

describe('observers', () => {
  it('are all told, and only of what they want to know', () => {
    const told: string[] = [];
    const observer = (name: string): Observer => ({ messageEnded: () => void told.push(name) });
    expect(combineObservers([null, null])).toBeNull();
    const one = observer('a');
    expect(combineObservers([null, one])).toBe(one);
    const both = combineObservers([one, observer('b')]);
    both?.messageEnded?.(NO_SESSION, ended('accept'));
    expect(told).toStrictEqual(['a', 'b']);
    expect(both?.handled).toBeUndefined();
  });
});

describe('health', () => {
  const health = () => {
    const shared = new SharedHealth();
    shared.beat(null);
    return shared;
  };

  it('of a filter that starts, serves and stops', () => {
    const shared = health();
    expect(shared.health).toMatchObject({ broken: [], unready: [expect.stringMatching(/starting/)] });
    shared.phase = HealthPhase.serving;
    expect(new SharedHealth(shared.memory).health).toStrictEqual({ broken: [], unready: [] });
    shared.phase = HealthPhase.stopping;
    expect(shared.health).toMatchObject({ broken: [], unready: [expect.stringMatching(/stopping/)] });
  });

  it('needs a worker whose event loop runs', () => {
    const shared = health();
    shared.phase = HealthPhase.serving;
    shared.beat({ serving: 2, blocked: 2 });
    expect(shared.health.broken).toStrictEqual(['all 2 workers are blocked']);
    shared.beat({ serving: 2, blocked: 1 });
    expect(shared.health.broken).toStrictEqual([]);
  });

  it('a worker that died is replaced in time, or the filter is broken', () => {
    const shared = health();
    shared.phase = HealthPhase.serving;
    shared.beat({ serving: 1, blocked: 0 });
    shared.beat({ serving: 0, blocked: 0 });
    const problems = ['no worker takes sessions'];
    expect(shared.health).toStrictEqual({ broken: [], unready: problems });
    const now = process.hrtime.bigint();
    const clock = jest
      .spyOn(process.hrtime, 'bigint')
      .mockReturnValue(now + BigInt(WORKERLESS_AFTER) * 1_000_000n + 9_000_000n);
    try {
      shared.beat({ serving: 0, blocked: 0 });
      expect(shared.health).toStrictEqual({ broken: problems, unready: problems });
      shared.beat({ serving: 1, blocked: 0 });
      expect(shared.health).toStrictEqual({ broken: [], unready: [] });
    } finally {
      clock.mockRestore();
    }
  });

  it('a sign of life gets old, also where the clock wraps around', () => {
    expect(isOld(sharedClock())).toBe(false);
    expect(isOld((sharedClock() - BLOCKED_AFTER - 1) | 0)).toBe(true);
    expect(isOld((sharedClock() + 1) | 0)).toBe(false);
  });
});

describe('a start that fails', () => {
  it('leaves neither an observer nor a logger behind', async () => {
    const entries: unknown[] = [];
    const write = (...entry: unknown[]) => void entries.push(entry);
    const logger = { debug: write, info: write, warn: write, error: write };
    const options = { factory: Milter.Base, metrics: 'inet:0', logger };
    await expect(Milter.runmilter('failing', 'unix:/nonexistent/socket', options)).rejects.toThrow(
      errorWith({ code: 'ENOENT' }),
    );
    expect(channel(DNS_CHANNEL).hasSubscribers).toBe(false);
    const lines = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      runtime.exceptions.report(new Error('of another filter'), 'eom');
      expect(entries).toStrictEqual([]);
      expect(String(lines.mock.calls[0]?.[0])).toMatch(
        /untrapped exception in eom: Error: of another filter/,
      );
    } finally {
      lines.mockRestore();
    }
  });
});

describe('spans', () => {
  afterAll(() => trace.disable());

  it('are made if the application has set up a tracer', () => {
    expect(messageTraces()).toBeNull();
    const exporter = new InMemorySpanExporter();
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    const facts = { session: '7', client: 'c.example[192.0.2.1]', queueId: null };
    messageTraces()?.messageEnded?.(facts, ended('reject'));
    const [span] = exporter.getFinishedSpans();
    expect(span?.name).toBe('milter message');
    expect(span?.attributes).toMatchObject({
      'milter.session': '7',
      'milter.verdict': 'reject',
      'milter.step': 'eom',
      'milter.queue_id': 'Q1',
      'client.address': 'c.example[192.0.2.1]',
    });
    expect(Math.abs((span?.startTime[0] ?? 0) - Date.now() / 1000)).toBeLessThan(60);
  });

  it('are made in a program of ES modules, and in none that has not loaded the package', () => {
    const traces = JSON.stringify(join(projectRoot, 'dist/metrics/message-traces.js'));
    const program = (setUp: string) =>
      `import { createRequire } from 'node:module';
       ${setUp}
       const { messageTraces } = createRequire(${traces})(${traces});
       console.log(messageTraces() !== null);`;
    const run = (setUp: string) =>
      spawnSync(process.execPath, ['--input-type=module', '-e', program(setUp)], {
        encoding: 'utf8',
        cwd: projectRoot,
      });
    const setUp =
      "import { trace } from '@opentelemetry/api'; trace.setGlobalTracerProvider({ getTracer: () => ({}) });";
    expect(run(setUp)).toMatchObject({ stdout: 'true\n', stderr: '' });
    expect(run('')).toMatchObject({ stdout: 'false\n', stderr: '' });
  });

  it('a processor that fails is reported, and disturbs nothing', () => {
    const lines = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    trace.disable();
    const onEnd = () => {
      throw new Error('the collector is gone');
    };
    const processor = { onStart: () => {}, onEnd, forceFlush: async () => {}, shutdown: async () => {} };
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
    try {
      messageTraces()?.messageEnded?.(NO_SESSION, ended('accept'));
      expect(String(lines.mock.calls[0]?.[0])).toMatch(/^OpenTelemetry has failed: Error: the collector/);
    } finally {
      lines.mockRestore();
    }
  });
});

describe('the dashboard', () => {
  interface Panel {
    readonly id: number;
    readonly type: string;
    readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
    readonly targets?: readonly { readonly expr: string }[];
  }
  const dashboard = JSON.parse(readFileSync(join(projectRoot, 'docs/grafana-dashboard.json'), 'utf8')) as {
    readonly panels: readonly Panel[];
  };
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

  it('asks for metrics and labels that there are, and for each metric', () => {
    const suffixes = ({ type }: Family) => (type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']);
    const known = new Set(
      FAMILY_NAMES.flatMap((name) => suffixes(FAMILIES[name]).map((suffix) => name + suffix)),
    );
    const asked = expressions.flatMap((expr) => expr.match(/tsmilter_\w+/g) ?? []);
    expect(asked.filter((name) => !known.has(name))).toStrictEqual([]);
    const shown = FAMILY_NAMES.filter((name) => asked.some((one) => one.startsWith(name)));
    const missing = ['tsmilter_sessions_total', 'tsmilter_session_verdicts_total'];
    expect(FAMILY_NAMES.filter((name) => !shown.includes(name))).toStrictEqual(missing);
  });

  it('has panels that do not overlap, with numbers of their own', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});
