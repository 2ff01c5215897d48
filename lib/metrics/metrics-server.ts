/** The metrics of a filter, as the thread that runs it sees them: it answers for what the server's thread is asked. */
import { join } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { errorSummary } from '../internal/error-text.js';
import { MilterError, type MilterErrorCode } from '../internal/errors.js';
import { Exposition, loadPromClient, type PromClient } from './exposition.js';
import { BEAT_INTERVAL, HealthPhase, SharedHealth } from './health.js';
import { addInterruptions } from './interruptions.js';
import type { MetricsAddress } from './options.js';
import { SeriesSet, type Snapshot } from './series.js';
import type { ScrapeReply, ServerMessage, ServerStart } from './server-thread.js';
import { ThreadMetrics } from './thread-metrics.js';

/** What is known of the workers; lib/workers/worker-pool.ts. */
export interface WorkersState {
  readonly serving: number;
  readonly blocked: number;
  /** Called when a worker begins to take sessions, and when one has ended. */
  onChange: () => void;
  /** The values of all workers, including the dead. */
  collect(): Promise<readonly Snapshot[]>;
}

export class MetricsServer {
  /** What is counted in this thread. */
  readonly own: ThreadMetrics;
  readonly #health = new SharedHealth();
  readonly #promClient: PromClient;
  readonly #address: MetricsAddress;
  readonly #report: (error: MilterError) => void;
  #exposition: Exposition | null = null;
  #workers: WorkersState | null = null;
  #thread: Worker | null = null;
  #port: MessagePort | null = null;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param report called if the metrics are lost while the filter runs
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without prom-client
   */
  constructor(address: MetricsAddress, report: (error: MilterError) => void) {
    this.#promClient = loadPromClient();
    this.#address = address;
    this.#report = report;
    this.own = new ThreadMetrics('main');
  }

  /**
   * Where the metrics are read.
   * @param workers null if this thread serves the sessions
   * @throws MilterError with the system's code if the server cannot listen there
   */
  async start(workers: WorkersState | null): Promise<string> {
    this.#workers = workers;
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), BEAT_INTERVAL).unref();
    // Without delay, or it would tell nothing of a worker that dies and is replaced between two beats.
    if (this.#workers) this.#workers.onChange = () => this.#beat();
    const { port1, port2 } = new MessageChannel();
    const start: ServerStart = { address: this.#address, health: this.#health.memory, port: port2 };
    const thread = new Worker(join(__dirname, 'server-thread.js'), {
      name: 'tsmilter metrics',
      workerData: start,
      transferList: [port2],
    });
    this.#thread = thread;
    this.#port = port1;
    const port = await new Promise<number>((resolve, reject) => {
      thread.on('error', reject);
      port1.on('message', (message: ServerMessage) => {
        if (message === 'scrape') void this.#answer();
        else if ('listening' in message) resolve(message.listening);
        else reject(listenError(message.failed));
      });
    });
    thread.on('error', (cause) => this.#report(serverEnded(cause)));
    thread.unref();
    port1.unref();
    // Only now, because prom-client goes on observing until the process ends.
    this.#exposition = new Exposition(this.#promClient);
    return urlOf(this.#address, port);
  }

  serving(): void {
    this.#health.phase = HealthPhase.serving;
  }

  stopping(): void {
    this.#health.phase = HealthPhase.stopping;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.own.close();
    this.#port?.close();
    await this.#thread?.terminate();
  }

  #beat(): void {
    this.#health.beat(this.#workers);
  }

  async #answer(): Promise<void> {
    const exposition = this.#exposition;
    const text = exposition && (await this.#text(exposition).catch(() => null));
    const reply: ScrapeReply = { text, contentType: exposition?.contentType ?? '' };
    this.#port?.postMessage(reply);
  }

  async #text(exposition: Exposition): Promise<string> {
    const all = new SeriesSet();
    for (const snapshot of (await this.#workers?.collect()) ?? []) all.merge(snapshot);
    if (this.#workers) all.series('tsmilter_workers').value = this.#workers.serving;
    all.merge(this.own.snapshot(true));
    addInterruptions(all);
    return exposition.text(all.snapshot());
  }
}

function urlOf(address: MetricsAddress, port: number): string {
  if ('path' in address) return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${port}/metrics`;
}

const serverEnded = (cause: unknown): MilterError =>
  new MilterError(
    'ERR_MILTER_METRICS',
    `the metrics cannot be read any more, because their thread has ended: ${errorSummary(cause)}`,
    { cause },
  );

function listenError({ code, message }: { code: string; message: string }): MilterError {
  return new MilterError(code as MilterErrorCode, `metrics: ${message}`);
}
