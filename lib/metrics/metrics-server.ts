/** The metrics of a filter, as the thread that runs it sees them: it answers for what the server's thread is asked. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MilterError, type MilterErrorCode } from '../internal/errors.js';
import { Exposition, loadPromClient } from './exposition.js';
import { BEAT_INTERVAL, HealthPhase, SharedHealth } from './health.js';
import type { MetricsAddress } from './options.js';
import { SeriesSet, type Snapshot } from './series.js';
import type { ScrapeReply, ServerMessage, ServerStart } from './server-thread.js';
import type { ThreadMetrics } from './thread-metrics.js';

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
  readonly #health = new SharedHealth();
  readonly #exposition: Exposition;
  readonly #own: ThreadMetrics;
  readonly #workers: WorkersState | null;
  readonly #address: MetricsAddress;
  #thread: Worker | null = null;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param own what is counted in this thread
   * @param workers null where this thread serves the sessions
   * @throws MilterError ERR_MILTER_MISSING_PACKAGE without prom-client
   */
  constructor(address: MetricsAddress, own: ThreadMetrics, workers: WorkersState | null) {
    this.#address = address;
    this.#own = own;
    this.#workers = workers;
    this.#exposition = new Exposition(loadPromClient());
  }

  /** Where the metrics are read. @throws MilterError with the system's code if the server cannot listen there */
  async start(): Promise<string> {
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), BEAT_INTERVAL).unref();
    // Without delay, or it would tell nothing of a worker that dies and is replaced between two beats.
    if (this.#workers) this.#workers.onChange = () => this.#beat();
    const start: ServerStart = { address: this.#address, health: this.#health.memory };
    const thread = new Worker(join(__dirname, 'server-thread.js'), {
      name: 'tsmilter metrics',
      workerData: start,
    });
    this.#thread = thread;
    const port = await new Promise<number>((resolve, reject) => {
      thread.on('error', reject);
      thread.on('message', (message: ServerMessage) => {
        if ('listening' in message) resolve(message.listening);
        else if ('failed' in message) reject(listenError(message.failed));
        else void this.#answer(message.scrape);
      });
    }).catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
    thread.unref();
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
    this.#own.close();
    await this.#thread?.terminate();
  }

  #beat(): void {
    this.#health.beat(this.#workers);
  }

  async #answer(scrape: number): Promise<void> {
    const text = await this.#text().catch(() => null);
    const reply: ScrapeReply = { scrape, text, contentType: this.#exposition.contentType };
    this.#thread?.postMessage(reply);
  }

  async #text(): Promise<string> {
    const all = new SeriesSet();
    for (const snapshot of (await this.#workers?.collect()) ?? []) all.merge(snapshot);
    if (this.#workers) all.series('tsmilter_workers').value = this.#workers.serving;
    all.merge(this.#own.snapshot(true));
    return this.#exposition.text(all.snapshot());
  }
}

function urlOf(address: MetricsAddress, port: number): string {
  if ('path' in address) return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${port}/metrics`;
}

function listenError({ code, message }: { code: string; message: string }): MilterError {
  return new MilterError(code as MilterErrorCode, `metrics: ${message}`);
}
