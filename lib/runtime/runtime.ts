/** libmilter as this thread uses it: the callbacks, how handlers are treated, the start and the stop. One per process. */

import { native, StartResult } from '../addon/native.js';
import { MilterError } from '../internal/errors.js';
import { checkInteger, checkWord, type OptionNames } from '../internal/validate.js';
import { noCallbacks } from '../session/callbacks.js';
import { Delivery, type Diagnosis } from '../session/dispatcher.js';
import { type ErrorHook, type ExceptionPolicy, Exceptions } from '../session/exception-policy.js';
import { currentFlags } from '../session/flags.js';
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

export const MAIN_OPTIONS: OptionNames<MainOptions> = {
  handlerTimeout: true,
  progressInterval: true,
  immediate: true,
  drainTimeout: true,
  signals: true,
};
export const SOCKET_OPTIONS: OptionNames<SocketOptions> = {
  removeSocket: true,
  mode: true,
  owner: true,
  group: true,
};

/** A handler's time on JS timers, plus this, is when the native side gives up on a JS thread that is stuck. */
export const STUCK_GRACE = 1_000;
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

/** Those who serve the sessions in place of the thread that runs the filter; lib/workers/crew.ts. */
export interface Hands {
  readonly contexts: [made: number, ended: number];
  readonly calledOff: boolean;
  start(): Promise<void>;
  callOff(): void;
  setPolicy(policy: ExceptionPolicy): void;
  end(patience: number): Promise<void>;
}

/** Callbacks, exception policy and counts of this thread; the process's one filter. */
class Runtime {
  readonly callbacks = noCallbacks();
  readonly exceptions = new Exceptions();
  #diagnosis: Diagnosis = { made: 0, ended: 0 };
  #drainTimeout = 10_000;
  #running: Promise<void> | null = null;
  #registered = false;
  #opened = false;
  /** This thread is a worker of a filter that another one runs. */
  #enlisted = false;
  #hands: Hands | null = null;
  /** The hands are being started: the filter has not begun. */
  #gathering = false;
  /** The run with hands, from before their start. */
  #withHands: Promise<void> | null = null;

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
    this.#hands?.setPolicy(policy);
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
    const whole = checkMainOptions(options);
    const { handlerTimeout, drainTimeout, signals } = whole;
    this.#refuseAnotherRun();
    const addon = native();
    const hands = this.#hands;
    this.#drainTimeout = drainTimeout;
    this.#tellPolicy();
    addon.setAnswerTimeout(handlerTimeout > 0 ? handlerTimeout + STUCK_GRACE : FOR_EVER);
    const stopOn = signals ? STOP_SIGNALS : [];
    let signalled = false;
    const onSignal = () => {
      void this.stop(signalled ? 0 : undefined); // a second one is in a hurry
      signalled = true;
    };
    const running = new Promise<void>((resolve, reject) => {
      const finish = (failed: boolean) => {
        this.#running = null;
        for (const signal of stopOn) process.off(signal, onSignal);
        if (failed) reject(new MilterError('ERR_MILTER_MAIN', 'libmilter ended with a failure (see syslog)'));
        else resolve();
      };
      const delivery = this.#delivery(whole, ready, (failed) => {
        if (hands) void hands.end(drainTimeout).then(() => finish(failed));
        else finish(failed);
      });
      const outcome = addon.start(delivery.deliver, hands === null);
      if (outcome === StartResult.inUse) throw inUse();
      if (outcome === StartResult.alreadyRun) throw alreadyRun();
      if (outcome === StartResult.notRegistered) {
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
    const running = this.#withHands ?? this.#running;
    if (!running && !this.#enlisted) return;
    // No sessions yet, or none any more: only the hands are left to be waited for.
    if (!native().running() && (!this.#running || drainTimeout === 0)) this.#hands?.callOff();
    native().stop(drainTimeout);
    await running?.catch(() => {}); // main()'s caller is told
  }

  // --- a filter whose sessions are served in worker threads

  /** Starts the hands, and then the filter, by `begin`; resolves when both have ended. */
  async withHands(hands: Hands, begin: () => Promise<void>): Promise<void> {
    this.#refuseAnotherRun();
    this.#hands = hands;
    this.#gathering = true;
    const run = async () => {
      try {
        await hands.start();
        this.#gathering = false;
        if (!hands.calledOff) await begin();
      } finally {
        hands.callOff(); // where the start has failed
        await hands.end(0);
        const [made, ended] = hands.contexts;
        this.#diagnosis.made += made;
        this.#diagnosis.ended += ended;
        this.#hands = null;
        this.#gathering = false;
        this.#withHands = null;
      }
    };
    this.#withHands = run();
    await this.#withHands;
  }

  /** This thread is a worker of the filter of that name, with the policy of the thread that runs it. */
  enlist(name: string, policy: ExceptionPolicy): void {
    this.#enlisted = true;
    this.exceptions.setName(name);
    this.exceptions.setPolicy(policy);
  }

  /** Takes sessions of the filter that another thread runs; resolves when it has stopped and the close handlers are done. */
  serve(options: MainOptions, diagnosis: Diagnosis): Promise<void> {
    const whole = checkMainOptions(options);
    this.#diagnosis = diagnosis;
    this.#drainTimeout = whole.drainTimeout;
    this.#running = new Promise((resolve) => {
      const delivery = this.#delivery(
        whole,
        () => {},
        () => resolve(),
      );
      native().join(delivery.deliver);
    });
    this.#tellPolicy(); // the module may have changed it
    return this.#running;
  }

  /** Contexts made and ended: of the whole filter in the thread that runs it, of this one in a worker. */
  get contexts(): [made: number, ended: number] {
    const [made, ended] = this.#hands?.contexts ?? [0, 0];
    return [this.#diagnosis.made + made, this.#diagnosis.ended + ended];
  }

  #delivery(
    { handlerTimeout, progressInterval, immediate, drainTimeout }: Required<MainOptions>,
    ready: () => void,
    stopped: (failed: boolean) => void,
  ): Delivery {
    const dependencies = {
      addon: native(),
      callbacks: this.callbacks,
      exceptions: this.exceptions,
      options: { handlerTimeout, progressInterval, immediate },
    };
    return new Delivery(dependencies, this.#diagnosis, drainTimeout, ready, stopped);
  }

  #tellPolicy(): void {
    native().setPolicy(this.exceptions.policy, ...this.exceptions.reply());
  }

  #refuseAnotherRun(): void {
    if (this.#enlisted) {
      throw new MilterError(
        'ERR_MILTER_IN_USE',
        'milter module in use: this thread is a worker of a filter; call runmilter in the main thread only ' +
          '(isMainThread of node:worker_threads)',
      );
    }
    if (this.#gathering || this.#running || native().running()) throw inUse();
    if (native().ended()) throw alreadyRun();
  }
}

export const runtime = new Runtime();
