/**
 * What systemd is told about the filter: sd_notify(3), for units with Type=notify, and WatchdogSec=. Without NOTIFY_SOCKET there is
 * no ServiceManager at all.
 */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { native } from '../addon/native.js';
import type { OptionNames } from '../internal/validate.js';

/** The option of runmilter that leaves systemd to the application. */
export interface ServiceManagerOptions {
  /**
   * If systemd asks for it (NOTIFY_SOCKET): tell it when the filter serves, reloads and stops, and how much it does, and feed its
   * watchdog. The variables are then removed from `process.env`, so that no child process speaks for the filter. Default true.
   */
  systemd?: boolean;
}

export const SERVICE_MANAGER_OPTIONS: OptionNames<ServiceManagerOptions> = { systemd: true };

/** What the status line counts. */
export interface FilterNumbers {
  readonly sessions: number;
  readonly messages: number;
  /** Workers that take sessions; null if there are none. */
  readonly workers: number | null;
}

interface Inherited {
  readonly address: string;
  /** Milliseconds between two signs of life; 0 for none. */
  readonly interval: number;
}

/** Milliseconds between two looks at the numbers. */
const STATUS_INTERVAL = 5_000;
/** Milliseconds after which a service manager that was behind is told again. */
const RETRY_INTERVAL = 100;
/** The longest delay of a timer. */
const MAX_DELAY = 2 ** 31 - 1;
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;

/** Kept from one start to the next in this process, because the variables are removed. */
let inherited: Inherited | null = null;

/** Half the time that sd_watchdog_enabled(3) finds, as it recommends; 0 if this process is not watched. */
function watchdogInterval({ WATCHDOG_USEC: time = '', WATCHDOG_PID: pid }: NodeJS.ProcessEnv): number {
  const microseconds = /^\d+$/.test(time) ? Number(time) : 0;
  if (microseconds === 0 || (pid !== undefined && pid !== String(process.pid))) return 0;
  return Math.min(Math.max(Math.floor(microseconds / 2_000), 1), MAX_DELAY);
}

/** What the environment says, without the variables from then on. */
function inherit(): Inherited | null {
  const { NOTIFY_SOCKET: address } = process.env;
  if (address) inherited = { address, interval: watchdogInterval(process.env) };
  for (const name of VARIABLES) delete process.env[name];
  return inherited;
}

export class ServiceManager {
  readonly #inherited: Inherited;
  readonly #numbers: () => FilterNumbers;
  readonly #warn: (text: string) => void;
  #phase: 'starting' | 'serving' | 'stopping' = 'starting';
  #note = '';
  #status = '';
  /** What could not be sent yet, in order. */
  #unsent: string[] = [];
  #failed = false;
  #timers: NodeJS.Timeout[] = [];
  #retry: NodeJS.Timeout | undefined;

  private constructor(environment: Inherited, numbers: () => FilterNumbers, warn: (text: string) => void) {
    this.#inherited = environment;
    this.#numbers = numbers;
    this.#warn = warn;
  }

  /**
   * The service manager that has started this process, if it wants to be told.
   * @param warn gets a line if it cannot be told
   */
  static find(numbers: () => FilterNumbers, warn: (text: string) => void): ServiceManager | null {
    const environment = inherit();
    return environment && new ServiceManager(environment, numbers, warn);
  }

  /** Begins to feed the watchdog: by timers, so that an event loop which is blocked does not. */
  start(): void {
    const { interval } = this.#inherited;
    if (interval === 0) return;
    this.#repeat('WATCHDOG=1');
    this.#timers.push(setInterval(() => this.#repeat('WATCHDOG=1'), interval).unref());
  }

  /** The filter serves. */
  ready(): void {
    if (this.#phase !== 'starting') return;
    this.#phase = 'serving';
    this.#send('READY=1', this.#newStatus());
    this.#timers.push(setInterval(() => this.#tellNumbers(), STATUS_INTERVAL).unref());
  }

  /** The filter reads its configuration again, and serves meanwhile. */
  reloading(): void {
    if (this.#phase !== 'serving') return;
    // The clock of CLOCK_MONOTONIC, by which systemd knows a notification of before its request.
    this.#send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`);
  }

  /** It has done so. @param failed whether the old configuration stays */
  reloaded(failed: boolean): void {
    if (this.#phase !== 'serving') return;
    this.#note = failed ? '; the last reload has failed' : '';
    this.#send('READY=1', this.#newStatus());
  }

  /** The filter takes no more sessions. */
  stopping(): void {
    if (this.#phase !== 'serving') return;
    this.#phase = 'stopping';
    this.#note = '';
    this.#send('STOPPING=1', this.#newStatus());
  }

  /** The filter has stopped, or has not started. */
  close(): void {
    this.stopping(); // where libmilter has ended by itself
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  #tellNumbers(): void {
    const before = this.#status;
    const status = this.#newStatus();
    if (status !== before) this.#repeat(status);
  }

  #newStatus(): string {
    const { sessions, messages, workers } = this.#numbers();
    const numbers = [`sessions open: ${sessions}`, `messages: ${messages}`];
    if (workers !== null) numbers.push(`workers: ${workers}`);
    this.#status = `STATUS=${this.#phase}; ${numbers.join(', ')}${this.#note}`;
    return this.#status;
  }

  /** Sends what is said again soon, unless something waits. */
  #repeat(line: string): void {
    if (this.#unsent.length === 0) this.#transmit(line);
  }

  /** Sends what must arrive. */
  #send(...lines: string[]): void {
    this.#unsent.push(lines.join('\n'));
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#retry);
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      if (!this.#transmit(next)) {
        this.#retry = setTimeout(() => this.#flush(), RETRY_INTERVAL).unref();
        return;
      }
      this.#unsent.shift();
    }
  }

  /** Whether there is no point in sending it again: it was sent, or will never be read. */
  #transmit(text: string): boolean {
    const error = native().notify(this.#inherited.address, text);
    if (error === constants.errno.EAGAIN) return false;
    // Once for a row of failures: a watchdog would fill the log.
    if (error !== 0 && !this.#failed) {
      this.#warn(`systemd cannot be told about the filter: NOTIFY_SOCKET: ${getSystemErrorName(-error)}`);
    }
    this.#failed = error !== 0;
    return true;
  }
}
