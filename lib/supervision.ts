/** What an init system asks of a running filter, and is told about it: SIGHUP, and systemd's notifications. */
import { currentFactory } from './filter/dispatch.js';
import { reloadOf } from './filter/reload.js';
import type { Logger } from './internal/logger.js';
import { tell, unlessLoggerFails } from './log/tell.js';
import {
  callReload,
  HangupReloader,
  type Reload,
  type ReloadOutcome,
  reloadInTurn,
} from './runtime/reload.js';
import { runtime } from './runtime/runtime.js';
import { ServiceManager } from './runtime/service-manager.js';
import type { Observer } from './session/observer.js';
import type { WorkerPool } from './workers/worker-pool.js';

/** How a filter is supervised. */
export interface SupervisionSettings {
  /** Whether systemd is told, if it wants to be. */
  readonly systemd: boolean;
  /** Whether SIGHUP reloads the filter. */
  readonly signals: boolean;
  /** The reload of the thread that runs the filter. Default: that of the filter's class, if this thread serves. */
  readonly reload: Reload | undefined;
  readonly logger: Logger | undefined;
}

export class Supervision {
  readonly #settings: SupervisionSettings;
  readonly #manager: ServiceManager | null;
  readonly #reloader: HangupReloader;
  #messages = 0;
  /** Null where this thread serves the sessions. */
  #pool: WorkerPool | null = null;

  constructor(settings: SupervisionSettings) {
    this.#settings = settings;
    this.#manager = settings.systemd
      ? ServiceManager.find(
          () => this.#numbers(),
          (text) => this.#warn(text),
        )
      : null;
    this.#reloader = new HangupReloader({
      reload: () => this.#reload(),
      begun: () => this.#manager?.reloading(),
      ended: (outcome) => this.#reloaded(outcome),
    });
  }

  /** Whether messages have to be counted. */
  get countsMessages(): boolean {
    return this.#manager !== null;
  }

  /** Counts the messages of this thread; null if they are not asked for. */
  get observer(): Observer | null {
    return this.countsMessages ? { messageEnded: () => this.#messages++ } : null;
  }

  /** The filter begins to start. */
  start(pool: WorkerPool | null): void {
    this.#pool = pool;
    this.#manager?.start();
    if (this.#settings.signals) this.#reloader.listen();
  }

  /** It serves, with all its workers. */
  ready(): void {
    this.#manager?.ready();
    this.#reloader.serving();
  }

  /** It begins to stop. */
  stopping(): void {
    this.#reloader.stopping();
    this.#manager?.stopping();
  }

  /** It has stopped, or has not started. */
  close(): void {
    this.#reloader.close();
    this.#manager?.close();
  }

  #numbers() {
    const [made, ended] = runtime.contexts;
    return {
      sessions: made - ended,
      messages: this.#messages + (this.#pool?.messages ?? 0),
      workers: this.#pool?.serving ?? null,
    };
  }

  /** What this thread has of the filter first, then the workers. */
  #reload(): Promise<ReloadOutcome> {
    const pool = this.#pool;
    const own = this.#settings.reload ?? (pool ? null : reloadOf(currentFactory()));
    return reloadInTurn([() => callReload(own, runtime.exceptions), ...(pool ? [() => pool.reload()] : [])]);
  }

  #reloaded(outcome: ReloadOutcome): void {
    const { logger } = this.#settings;
    if (outcome === 'failed') this.#warn('reload failed: the filter goes on with what it had');
    else tell(logger, {}, outcome === 'reloaded' ? 'reloaded' : 'SIGHUP: the filter has nothing to reload');
    this.#manager?.reloaded(outcome === 'failed');
  }

  #warn(text: string): void {
    unlessLoggerFails(() => this.#settings.logger?.warn(text));
  }
}
