/** The main program of a worker thread: loads the filter's module, takes sessions until the filter has stopped. */
import { workerData } from 'node:worker_threads';
import { filterCallbacks } from '../filter/dispatch.js';
import { runtime } from '../runtime/runtime.js';
import { setFlags } from '../session/flags.js';
import { loadFilterModule } from './filter-module.js';
import { Ledger, Phase } from './ledger.js';
import type { MainMessage, WorkerMessage, WorkerStart } from './messages.js';

async function work({ settings, ledger: memory, heartbeat, port }: WorkerStart): Promise<void> {
  const ledger = new Ledger(memory);
  const reach = (reached: WorkerMessage['reached']) => {
    ledger.phase = Phase[reached];
    const message: WorkerMessage = { reached };
    port.postMessage(message);
  };
  setFlags(settings.flags);
  runtime.enlist(settings.name, settings.policy);
  const stopped = await loadFilterModule(settings.module);
  await new Promise(setImmediate); // what the module has let slip (an unhandled rejection) ends the start, not the service
  Object.assign(runtime.callbacks, filterCallbacks());
  const served = runtime.serve(settings.options, ledger);
  if (heartbeat > 0) setInterval(() => ledger.beat(), heartbeat).unref();
  port.on('message', ({ policy }: MainMessage) => runtime.setExceptionPolicy(policy));
  port.unref();
  reach('serving');
  await served;
  reach('finished');
  await stopped?.();
  // The loop ends by itself when the module's own timers and connections are closed, as the main thread's does.
  port.close();
}

work(workerData as WorkerStart).catch((error: unknown) => {
  // Out of the promise, whatever --unhandled-rejections says: the main thread hears of it as the worker's end.
  process.nextTick(() => {
    throw error;
  });
});
