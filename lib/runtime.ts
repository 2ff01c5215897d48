/** libmilter as this thread uses it: the callbacks, how handlers are treated, the start and the stop. One per process. */
import { checkInteger, checkWord } from './arguments.js';
import { noCallbacks } from './callbacks.js';
import { Delivery, type Diagnosis } from './delivery.js';
import { MilterError } from './errors.js';
import { type ErrorHook, type ExceptionPolicy, Exceptions } from './exceptions.js';
import { currentFlags } from './flags.js';
import { native, Start } from './native.js';
import { checkSocketSpec } from './socket-spec.js';
import { alreadyRun, inUse, startError } from './start-errors.js';

/** How a filter treats its handlers and its end. */
export interface MainOptions {
  /** Milliseconds that a handler may take before the exception policy answers for it; 0: for ever. Default 300,000. */
  handlerTimeout?: number;
  /** Milliseconds between two signs of life to the MTA while eom is awaited; 0: none. Default 30,000. */
  progressInterval?: number;
  /** Answer header, eoh and body one by one rather than once, at the end of the message. Default false. */
  immediate?: boolean;
  /** Milliseconds that sessions in a message get to finish it when the filter stops. Default 10,000. */
  drainTimeout?: number;
  /** Stop on SIGTERM and SIGINT. Default true. */
  signals?: boolean;
}

/** The permissions of a unix socket, and what to do with one that is there. */
export interface SocketOptions {
  /** Remove a socket that nobody answers on. Default true. */
  removeSocket?: boolean;
  /** The socket's mode, as 0o660. Default: what the umask leaves; 0o660 where owner or group are given. */
  mode?: number;
  /** The socket's owner, by name or number. */
  owner?: string | number;
  /** The socket's group, by name or number. */
  group?: string | number;
}

/** A handler's time on JS timers, plus this, is when the native side gives up on a JS thread that is stuck. */
const STUCK_GRACE = 1_000;
/** What stands for "no limit" on the native side: some years. */
const FOR_EVER = 2 ** 37;
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** The options with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkMainOptions(options: MainOptions): Required<MainOptions> {
  const whole = {
    handlerTimeout: options.handlerTimeout ?? 300_000,
    progressInterval: options.progressInterval ?? 30_000,
    drainTimeout: options.drainTimeout ?? 10_000,
  };
  for (const [name, value] of Object.entries(whole)) checkInteger(name, value, 0);
  return { ...whole, immediate: options.immediate ?? false, signals: options.signals ?? true };
}

/** Callbacks, exception policy and counts of this thread; the process's one filter. */
class Runtime {
  readonly callbacks = noCallbacks();
  readonly exceptions = new Exceptions();
  readonly diagnosis: Diagnosis = { made: 0, ended: 0 };
  #drainTimeout = 10_000;
  #running: Promise<void> | null = null;
  #registered = false;
  #opened = false;

  /** libmilter: smfi_register. */
  register(name: string): void {
    checkWord("the filter's name", name);
    this.#refuseAnotherRun();
    this.exceptions.setName(name);
    if (!native().registerFilter(name, currentFlags())) {
      throw new MilterError(
        'ERR_MILTER_MAIN',
        'libmilter refused the registration: out of memory, or another version',
      );
    }
    this.#registered = true;
  }

  /** libmilter: smfi_setconn and smfi_opensocket. */
  openSocket(spec: string, options: SocketOptions = {}): void {
    checkSocketSpec(spec);
    if (options.mode !== undefined) checkInteger('mode', options.mode, 0, 0o777);
    for (const name of ['owner', 'group'] as const) {
      if (options[name] !== undefined) checkWord(name, String(options[name]));
    }
    this.#refuseAnotherRun();
    if (!this.#registered)
      throw new MilterError('ERR_MILTER_NOT_REGISTERED', 'register() comes before opening the socket');
    const failure = native().openSocket(
      spec,
      options.removeSocket ?? true,
      options.mode ?? null,
      options.owner === undefined ? null : String(options.owner),
      options.group === undefined ? null : String(options.group),
    );
    if (failure) throw startError(...failure);
    this.#opened = true;
  }

  /** The bound TCP port, or 0. */
  get port(): number {
    return this.#opened ? native().port() : 0;
  }

  setExceptionPolicy(policy: ExceptionPolicy): ExceptionPolicy {
    const old = this.exceptions.setPolicy(policy);
    if (this.#running) this.#tellPolicy();
    return old;
  }

  setErrorHook(hook: ErrorHook | null): ErrorHook | null {
    return this.exceptions.setHook(hook);
  }

  /**
   * libmilter: smfi_main. Resolves when it has returned; the socket must be open.
   * @param ready called when the filter serves
   */
  main(options: MainOptions = {}, ready: () => void = () => {}): Promise<void> {
    const { handlerTimeout, progressInterval, drainTimeout, immediate, signals } = checkMainOptions(options);
    this.#refuseAnotherRun();
    const addon = native();
    this.#drainTimeout = drainTimeout;
    this.#tellPolicy();
    addon.setPatience(handlerTimeout > 0 ? handlerTimeout + STUCK_GRACE : FOR_EVER);
    const house = {
      addon,
      callbacks: this.callbacks,
      exceptions: this.exceptions,
      options: { handlerTimeout, progressInterval, immediate },
    };
    const stopOn = signals ? STOP_SIGNALS : [];
    let signalled = false;
    const onSignal = () => {
      void this.stop(signalled ? 0 : undefined); // a second one is in a hurry
      signalled = true;
    };
    const running = new Promise<void>((resolve, reject) => {
      const delivery = new Delivery(house, this.diagnosis, drainTimeout, ready, (failed) => {
        this.#running = null;
        for (const signal of stopOn) process.off(signal, onSignal);
        if (failed) reject(new MilterError('ERR_MILTER_MAIN', 'libmilter ended with a failure (see syslog)'));
        else resolve();
      });
      const outcome = addon.start(delivery.deliver);
      if (outcome === Start.inUse) throw inUse();
      if (outcome === Start.alreadyRun) throw alreadyRun();
      if (outcome === Start.notRegistered) {
        throw new MilterError('ERR_MILTER_NOT_REGISTERED', 'register() and setconn() come before main()');
      }
      for (const signal of stopOn) process.on(signal, onSignal);
    });
    // A start that failed leaves nothing running.
    if (addon.running()) this.#running = running;
    return running;
  }

  /** libmilter: smfi_stop, after the sessions that are in a message; resolves when the filter has stopped. */
  async stop(drainTimeout = this.#drainTimeout): Promise<void> {
    checkInteger('drainTimeout', drainTimeout, 0);
    if (!this.#running) return;
    native().stop(drainTimeout);
    await this.#running.catch(() => {}); // main()'s caller is told
  }

  #tellPolicy(): void {
    native().setPolicy(this.exceptions.policy, ...this.exceptions.reply());
  }

  #refuseAnotherRun(): void {
    if (this.#running || native().running()) throw inUse();
    if (native().ended()) throw alreadyRun();
  }
}

export const runtime = new Runtime();
