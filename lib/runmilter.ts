/** Starting and stopping a filter. */

import { native } from './addon/native.js';
import { currentFactory, type Factory, filterCallbacks, setFactory } from './filter/dispatch.js';
import { badArgument } from './internal/errors.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from './internal/validate.js';
import {
  checkMainOptions,
  MAIN_OPTIONS,
  type MainOptions,
  runtime,
  SOCKET_OPTIONS,
  type SocketOptions,
} from './runtime/runtime.js';
import { checkSocketSpec } from './runtime/socket-spec.js';
import type { ErrorHook, ExceptionPolicy } from './session/exception-policy.js';
import { currentFlags } from './session/flags.js';
import { Crew } from './workers/crew.js';
import { planWorkers, WORKER_OPTIONS, type WorkerOptions, type WorkerPlan } from './workers/options.js';

/** Options of {@link runmilter}. */
export interface RunOptions extends MainOptions, SocketOptions, WorkerOptions {
  /** The filter's class, or a function that makes a filter object; else what setFactory has set. Or else `module`. */
  factory?: Factory;
  /** Seconds that the MTA's next command may take before its session is closed; set where > 0. libmilter's default is 7210. */
  timeout?: number;
  /** Connections that may wait to be accepted. Default: libmilter's own. */
  backlog?: number;
  /** libmilter's debug level, 0 (none) to 6, written to stdout. Default 0. */
  debug?: number;
  /** Called when the socket accepts connections. */
  onListening?: (address: ListeningAddress) => void;
}

const RUN_OPTIONS: OptionNames<RunOptions> = {
  factory: true,
  timeout: true,
  backlog: true,
  debug: true,
  onListening: true,
  ...MAIN_OPTIONS,
  ...SOCKET_OPTIONS,
  ...WORKER_OPTIONS,
};

/** Where a filter listens. */
export interface ListeningAddress {
  /** The socket as it was given. */
  readonly socket: string;
  /** The TCP port, which the system chose for `inet:0`; 0 for a unix socket. */
  readonly port: number;
}

/**
 * Runs a filter until it is stopped: by {@link stop}, SIGTERM or SIGINT.
 *
 * @param name the filter's name, in replies and logs
 * @param socket `unix:/path`, `local:/path`, `inet:port@host`, `inet6:port@host`, `fd:N` where the library has it
 * @returns resolves when the filter has stopped and its socket is gone
 * @throws MilterError whose code says what is wrong with the start: EADDRINUSE, EACCES, ENOENT, ERR_MILTER_BAD_SOCKET,
 *   ERR_MILTER_IN_USE, ERR_MILTER_ALREADY_RUN, ERR_MILTER_BAD_ARGUMENT also for an option that there is not, ERR_MILTER_WORKER where the module cannot be loaded, ... libmilter: smfi_register, smfi_setconn, smfi_opensocket, smfi_main
 */
export async function runmilter(name: string, socket: string, options: RunOptions = {}): Promise<void> {
  checkOptions('runmilter', options, RUN_OPTIONS);
  const { timeout = 0, backlog, debug } = options;
  checkInteger('timeout', timeout, 0);
  const plan = planWorkers(options);
  if (plan) refuseFactory(options);
  else takeFactory(options);
  if (backlog !== undefined) checkInteger('backlog', backlog, 1);
  if (debug !== undefined) checkInteger('debug', debug, 0);
  checkMainOptions(options); // all of it before the socket opens: libmilter cannot close it again
  if (!plan) {
    await run(name, socket, options);
    return;
  }
  checkWord("the filter's name", name);
  checkSocketSpec(socket);
  await runtime.withHands(crewFor(name, plan, options), () => run(name, socket, options));
}

function refuseFactory(options: RunOptions): void {
  if (!options.factory && !currentFactory()) return;
  throw badArgument(
    'runmilter takes a factory or a module, not both: leave out factory (and setFactory), and export the filter from the module',
  );
}

function takeFactory(options: RunOptions): void {
  if (options.factory) setFactory(options.factory);
  if (currentFactory()) return;
  throw badArgument('runmilter needs a factory: pass { factory: YourFilter }');
}

function crewFor(name: string, plan: WorkerPlan, options: RunOptions): Crew {
  const { handlerTimeout, progressInterval, immediate, drainTimeout } = checkMainOptions(options);
  const settings = {
    name,
    module: plan.module,
    options: { handlerTimeout, progressInterval, immediate, drainTimeout },
    flags: currentFlags(),
    policy: runtime.exceptions.policy,
  };
  return new Crew(plan, settings, (error) => runtime.exceptions.report(error, 'a worker'));
}

/** Runs the filter in this thread, or with the hands that are there already. */
async function run(name: string, socket: string, options: RunOptions): Promise<void> {
  const { timeout = 0, backlog, debug } = options;
  runtime.register(name);
  Object.assign(runtime.callbacks, filterCallbacks());
  const addon = native();
  if (backlog !== undefined) addon.setBacklog(backlog);
  runtime.openSocket(socket, options);
  // Not before: a start that is refused leaves nothing behind for the next one.
  if (timeout > 0) addon.setTimeout(timeout);
  if (debug !== undefined) addon.setDebug(debug);
  let failure: { error: unknown } | undefined;
  await runtime.main(options, () => {
    try {
      options.onListening?.({ socket, port: runtime.port });
    } catch (error) {
      failure = { error };
      void runtime.stop(0);
    }
  });
  if (failure) throw failure.error;
}

/**
 * Stops the running filter: no new sessions; sessions in a message may finish it within the time; the rest is told to
 * try again later. Resolves when the filter has stopped, at once where none runs.
 * @param drainTimeout milliseconds; default: runmilter's option
 */
export function stop(drainTimeout?: number): Promise<void> {
  return runtime.stop(drainTimeout);
}

/**
 * What becomes of a message whose handler throws, rejects or answers with something else than a status: TEMPFAIL
 * (the default), REJECT, CONTINUE or ACCEPT.
 * @returns the old policy
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for any other verdict
 */
export function setExceptionPolicy(policy: ExceptionPolicy): ExceptionPolicy {
  return runtime.setExceptionPolicy(policy);
}

/** Who is told of errors in handlers, in place of stderr; null for stderr. @returns the old hook */
export function setErrorHook(hook: ErrorHook | null): ErrorHook | null {
  return runtime.setErrorHook(hook);
}

/**
 * Contexts made and ended; equal when nothing is connected. With workers: of all of them, the dead ones too, in the
 * thread that called runmilter; of the worker itself in a worker.
 */
export function getdiag(): [made: number, ended: number] {
  return runtime.contexts;
}
