/** Starting and stopping a filter. */

import { native } from './addon/native.js';
import { currentFactory, type Factory, filterCallbacks, setFactory } from './filter/dispatch.js';
import { badArgument } from './internal/errors.js';
import { silentLogger } from './internal/logger.js';
import { packageVersion } from './internal/package-version.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from './internal/validate.js';
import { logObserver, openLog } from './log/filter-log.js';
import { LOG_OPTIONS, type LogOptions, normaliseLogOptions } from './log/options.js';
import { tell } from './log/tell.js';
import { messageTraces } from './metrics/message-traces.js';
import type { MetricsServer } from './metrics/metrics-server.js';
import {
  METRICS_OPTIONS,
  type MetricsAddress,
  type MetricsOptions,
  normaliseMetricsOptions,
} from './metrics/options.js';
import type { FilterStart } from './runtime/filter-start.js';
import {
  MAIN_OPTIONS,
  type MainOptions,
  normaliseMainOptions,
  normaliseSocketOptions,
  SOCKET_OPTIONS,
  type SocketOptions,
} from './runtime/options.js';
import { runtime } from './runtime/runtime.js';
import { SERVICE_MANAGER_OPTIONS, type ServiceManagerOptions } from './runtime/service-manager.js';
import { checkSocketSpec } from './runtime/socket-spec.js';
import { loadError } from './runtime/start-errors.js';
import type { ErrorHook, ExceptionPolicy } from './session/exception-policy.js';
import { combineObservers, NO_SESSION } from './session/observer.js';
import { Supervision } from './supervision.js';
import {
  type NormalisedWorkerOptions,
  normaliseWorkerOptions,
  WORKER_OPTIONS,
  type WorkerOptions,
} from './workers/options.js';

/** Options of {@link runmilter}. */
export interface RunOptions
  extends MainOptions,
    SocketOptions,
    WorkerOptions,
    LogOptions,
    MetricsOptions,
    ServiceManagerOptions {
  /**
   * The filter's class, or a function that makes a filter object; set as by setFactory, unless the start fails. Default: what
   * setFactory has set. Not with `module`.
   */
  factory?: Factory;
  /** Seconds that the MTA may take for its next command before its session is closed; 0: libmilter's default, 7210. */
  timeout?: number;
  /** Connections that may wait to be accepted. Default: libmilter's own. */
  backlog?: number;
  /** libmilter's debug level, 0 (none) to 6; it writes to stdout. Default 0. */
  debug?: number;
  /** Called when the socket accepts connections. */
  onListening?: (address: ListeningAddress) => void;
  /**
   * Called on SIGHUP, to read again what the filter was configured with; the filter serves meanwhile. If it throws or rejects, that is
   * logged. Default: the static method `reload` of the filter's class. Workers have their own: the module's export `reload`, or
   * that of the class. docs/reload.md
   */
  reload?: () => unknown;
}

const RUN_OPTIONS: OptionNames<RunOptions> = {
  factory: true,
  timeout: true,
  backlog: true,
  debug: true,
  onListening: true,
  reload: true,
  ...MAIN_OPTIONS,
  ...SOCKET_OPTIONS,
  ...LOG_OPTIONS,
  ...METRICS_OPTIONS,
  ...SERVICE_MANAGER_OPTIONS,
  ...WORKER_OPTIONS,
};

/** Where a filter listens. */
export interface ListeningAddress {
  /** The socket as it was given. */
  readonly socket: string;
  /** The TCP port, which the system chose for `inet:0`; 0 for a unix socket. */
  readonly port: number;
  /** The URL of the metrics, if the option `metrics` asks for them; `unix:/path` for a socket. */
  readonly metrics?: string;
}

/**
 * Runs a filter until it is stopped: by {@link stop}, SIGTERM or SIGINT. SIGHUP reloads it.
 *
 * @param name the filter's name, in replies and logs
 * @param socket `unix:/path`, `local:/path`, `inet:port@host`, `inet6:port@host`, `fd:N` or `fd:NAME` where the library has it
 * @returns resolves when the filter has stopped and its socket is gone
 * @throws MilterError whose code says what is wrong with the start: EADDRINUSE, EACCES, ENOENT, ERR_MILTER_BAD_SOCKET,
 *   ERR_MILTER_IN_USE, ERR_MILTER_ALREADY_RUN, ERR_MILTER_BAD_ARGUMENT also for an unknown option, ERR_MILTER_WORKER where
 *   the module cannot be loaded, ... libmilter: smfi_register, smfi_setconn, smfi_opensocket, smfi_main
 */
export async function runmilter(name: string, socket: string, options: RunOptions = {}): Promise<void> {
  // All of it before the socket opens: libmilter cannot close it again.
  checkWord("the filter's name", name);
  checkSocketSpec(socket);
  const { main, workers, log: logOptions, metrics: metricsAddress, ...settings } = normalise(options);
  const log = load(() => openLog(name, logOptions));
  const supervision = new Supervision({
    systemd: options.systemd ?? true,
    signals: main.signals,
    reload: options.reload,
    logger: log?.logger,
  });
  const { countsMessages } = supervision;
  let server = null as MetricsServer | null;
  let metricsUrl: string | undefined;
  let started = false;
  /** Takes back what the start has changed, unless it has succeeded. */
  let undo = () => {};
  let failure: { error: unknown } | undefined;
  const onReady = () => {
    started = true;
    server?.serving();
    // Not before: the error of a start that fails says all.
    tell(log?.logger, startFields(workers), 'started');
    tell(log?.logger, listeningFields(socket, metricsUrl), 'listening');
    try {
      options.onListening?.({ socket, port: runtime.port, ...(metricsUrl && { metrics: metricsUrl }) });
    } catch (error) {
      failure = { error };
      void runtime.stop(0);
      return;
    }
    supervision.ready();
  };
  const begin = (): FilterStart => {
    const factory = options.factory && setFactory(options.factory);
    undo = () => {
      if (factory !== undefined && currentFactory() === options.factory) setFactory(factory);
      runtime.exceptions.setLogger(null);
    };
    runtime.exceptions.setLogger(log?.logger ?? null);
    server = metricsAddress && createMetricsServer(metricsAddress);
    const metrics = server?.own ?? null;
    const pool =
      workers && load(loadWorkers).createPool(workers, { name, options: main, log, metrics, countsMessages });
    supervision.start(pool);
    return {
      name,
      socket,
      ...settings,
      callbacks: filterCallbacks(),
      workers: pool,
      observation: {
        logger: log?.logger ?? silentLogger,
        observer: combineObservers([
          log && logObserver(log.logger),
          metrics,
          messageTraces(),
          supervision.observer,
        ]),
        prefix: '',
      },
      prepare: async () => {
        metricsUrl = await server?.start(pool);
      },
      onStopping: () => {
        server?.stopping();
        supervision.stopping();
        tell(log?.logger, {}, 'stopping');
      },
    };
  };
  try {
    await runtime.runFilter(main, begin, onReady);
  } finally {
    supervision.close();
    await server?.close();
    if (!started) undo();
  }
  tell(log?.logger, { sessions: runtime.contexts[0] }, 'stopped');
  await log?.flush();
  if (failure) throw failure.error;
}

// Loaded by the starts that need them: most filters have neither, and start faster without.
const loadWorkers = () => require('./workers/create-pool.js') as typeof import('./workers/create-pool.js');
const loadMetrics = () =>
  require('./metrics/metrics-server.js') as typeof import('./metrics/metrics-server.js');

/** Loads what not every filter needs. @throws MilterError EMFILE or ENFILE if there is no descriptor left for its files */
function load<T>(part: () => T): T {
  try {
    return part();
  } catch (error) {
    throw loadError(error);
  }
}

function createMetricsServer(address: MetricsAddress): MetricsServer {
  return new (load(loadMetrics).MetricsServer)(address, (error) =>
    runtime.exceptions.report(error, 'the metrics', NO_SESSION),
  );
}

/** What the log tells when the socket accepts connections. */
function listeningFields(socket: string, metrics: string | undefined): Record<string, unknown> {
  const { port } = runtime;
  return { socket, ...(port > 0 && { port }), ...(metrics && { metrics }) };
}

/** What the first line of the log tells. */
function startFields(workers: NormalisedWorkerOptions | null): Record<string, unknown> {
  return {
    tsmilter: packageVersion(),
    libmilter: native().version().join('.'),
    node: process.versions.node,
    pid: process.pid,
    ...(workers ? { workers: workers.workers } : {}),
  };
}

/** The options with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
function normalise(options: RunOptions) {
  checkOptions('runmilter', options, RUN_OPTIONS);
  const { timeout = 0, backlog, debug } = options;
  checkInteger('timeout', timeout, 0);
  if (backlog !== undefined) checkInteger('backlog', backlog, 1);
  if (debug !== undefined) checkInteger('debug', debug, 0);
  if (options.reload !== undefined && typeof options.reload !== 'function')
    throw badArgument('reload must be a function');
  const workers = normaliseWorkerOptions(options);
  checkFilterIsGiven(options.factory ?? currentFactory(), workers);
  return {
    timeout: timeout > 0 ? timeout : undefined,
    backlog,
    debug,
    workers,
    log: normaliseLogOptions(options),
    metrics: normaliseMetricsOptions(options),
    main: normaliseMainOptions(options),
    socketOptions: normaliseSocketOptions(options),
  };
}

/** The filter comes from a factory, or from a module that worker threads load. */
function checkFilterIsGiven(factory: Factory | null, workers: NormalisedWorkerOptions | null): void {
  if (!workers && !factory) throw badArgument('runmilter needs a factory: pass { factory: YourFilter }');
  if (workers && factory) {
    throw badArgument(
      'runmilter takes a factory or a module, not both: leave out factory (and setFactory), and export the filter from the module',
    );
  }
}

/**
 * Stops the running filter: it takes no new sessions, sessions that are in a message may finish it within the time, and
 * the others are told to try again later. A start that is not complete ends without one. Resolves when the filter has stopped, at
 * once if none runs or starts.
 * @param drainTimeout milliseconds; default: runmilter's option
 */
export async function stop(drainTimeout?: number): Promise<void> {
  if (drainTimeout !== undefined) checkInteger('drainTimeout', drainTimeout, 0);
  await runtime.stop(drainTimeout);
}

/**
 * Sets the verdict on a message whose handler throws, rejects, or answers with anything but a status: TEMPFAIL
 * (the default), REJECT, CONTINUE or ACCEPT.
 * @returns the old policy
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for any other verdict
 */
export function setExceptionPolicy(policy: ExceptionPolicy): ExceptionPolicy {
  return runtime.setExceptionPolicy(policy);
}

/** Sets the function that errors in handlers are reported to; null: they are logged. @returns the old hook */
export function setErrorHook(hook: ErrorHook | null): ErrorHook | null {
  return runtime.setErrorHook(hook);
}

/**
 * Contexts made and ended; equal when nothing is connected. Where workers serve the filter, the thread that called
 * runmilter counts those of all workers, including the dead; a worker counts its own.
 */
export function getdiag(): [made: number, ended: number] {
  return runtime.contexts;
}
