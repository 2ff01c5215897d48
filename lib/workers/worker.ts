/** The main program of a worker thread: it loads the filter's module and takes sessions until the filter has stopped. */
import { type MessagePort, threadId, workerData } from 'node:worker_threads';
import { currentFactory, filterCallbacks } from '../filter/dispatch.js';
import { reloadOf } from '../filter/reload.js';
import { silentLogger } from '../internal/logger.js';
import { logObserver } from '../log/filter-log.js';
import { type WorkerEntrySettings, WorkerLog } from '../log/worker-log.js';
import { BEAT_INTERVAL, sharedClock } from '../metrics/health.js';
import { messageTraces } from '../metrics/message-traces.js';
import { ThreadMetrics } from '../metrics/thread-metrics.js';
import { callReload, type Reload } from '../runtime/reload.js';
import { runtime } from '../runtime/runtime.js';
import { setFlags } from '../session/flags.js';
import { combineObservers, type Observer } from '../session/observer.js';
import { loadFilterModule } from './filter-module.js';
import type { MainMessage, WorkerMessage, WorkerStart } from './messages.js';
import { Phase, SharedCounters } from './shared-counters.js';

/** Milliseconds after which a worker sends its metrics without being asked. */
const SEND_INTERVAL = 1_000;

async function work({ settings, counters: memory, heartbeat, port }: WorkerStart): Promise<void> {
  const counters = new SharedCounters(memory);
  const reach = (reached: 'serving' | 'finished') => {
    counters.phase = Phase[reached];
    const message: WorkerMessage = { reached };
    port.postMessage(message);
  };
  setFlags(settings.flags);
  const { name, policy, options } = settings;
  const log = settings.log && settings.log !== 'silent' ? openWorkerLog(settings.log, port) : null;
  // With a silent log, errors in handlers are not printed either.
  const logger = log?.logger ?? silentLogger;
  if (settings.log) runtime.exceptions.setLogger(logger);
  const serve = runtime.becomeWorker({ name, policy, options, counts: counters });
  const { stopped, reload } = await loadFilterModule(settings.module);
  await new Promise(setImmediate); // so that an unhandled rejection of the module's fails the start, not the service
  Object.assign(runtime.callbacks, filterCallbacks());
  const metrics = settings.metrics ? new ThreadMetrics(String(threadId)) : null;
  const counter: Observer | null = settings.countsMessages
    ? { messageEnded: () => counters.countMessage() }
    : null;
  const observer = combineObservers([log && logObserver(log.logger), metrics, messageTraces(), counter]);
  const served = serve({ logger, observer, prefix: `${threadId}-` });
  const requestReload = answerReloads(() => reload ?? reloadOf(currentFactory()), port);
  if (heartbeat > 0) setInterval(() => counters.heartbeat(), heartbeat).unref();
  port.on('message', (message: MainMessage) => {
    if ('policy' in message) runtime.setExceptionPolicy(message.policy);
    else if ('written' in message) log?.written(message.written);
    else if ('reload' in message) requestReload();
    else if (metrics) sendMetrics(metrics, port, true);
  });
  if (metrics) keepMetrics(metrics, counters, port);
  port.unref();
  reach('serving');
  await served;
  reach('finished');
  await stopped?.();
  log?.flush();
  // As in the main thread, the event loop ends when the module's own timers and connections are closed.
  port.close();
}

/** Returns a function that reloads the filter in this thread and answers the main thread, one reload after the other. */
function answerReloads(current: () => Reload | null, port: MessagePort): () => void {
  let last = Promise.resolve();
  return () => {
    last = last.then(async () => {
      const message: WorkerMessage = { reload: await callReload(current(), runtime.exceptions) };
      port.postMessage(message);
    });
  };
}

/** @param asked whether they answer a request */
function sendMetrics(metrics: ThreadMetrics, port: MessagePort, asked: boolean): void {
  const message: WorkerMessage = { metrics: metrics.snapshot(asked) };
  port.postMessage(message);
}

/** Shows that the event loop runs, and sends the metrics now and then, so that those of a worker that dies are not lost. */
function keepMetrics(metrics: ThreadMetrics, counters: SharedCounters, port: MessagePort): void {
  const beat = () => {
    counters.beat = sharedClock();
  };
  beat();
  setInterval(beat, BEAT_INTERVAL).unref();
  setInterval(() => sendMetrics(metrics, port, false), SEND_INTERVAL).unref();
  process.on('exit', () => sendMetrics(metrics, port, false));
}

/** The log of this worker, which the main thread writes. */
function openWorkerLog(settings: WorkerEntrySettings, port: MessagePort): WorkerLog {
  return new WorkerLog(settings, (log) => {
    const message: WorkerMessage = { log };
    port.postMessage(message);
  });
}

work(workerData as WorkerStart).catch((error: unknown) => {
  // Thrown outside the promise, so that the worker ends with it whatever --unhandled-rejections says.
  process.nextTick(() => {
    throw error;
  });
});
