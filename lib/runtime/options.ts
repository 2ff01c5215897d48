/** The options of a start. They are checked and completed once, where they come in; below that they are trusted. */
import { badArgument } from '../internal/errors.js';
import {
  checkBoolean,
  checkBooleans,
  checkFunction,
  checkInteger,
  checkWord,
  type OptionNames,
  shownValue,
} from '../internal/validate.js';
import type { ServiceManagerOptions } from './service-manager.js';

/** How a filter treats its handlers and its end. */
export interface MainOptions {
  /** Milliseconds that a handler may take before the exception policy answers in its place; 0: no limit. Default 300,000. */
  handlerTimeout?: number;
  /** Milliseconds between two progress messages to the MTA while eom is awaited; 0: none. Default 5,000. */
  progressInterval?: number;
  /** Answer header, eoh and body one by one rather than once, at the end of the message. Default false. */
  immediate?: boolean;
  /**
   * Bytes that the events of all sessions may take together while they wait for a handover, or for their handlers. Beyond that,
   * header, eoh and body are handed over one by one, so that each session holds one of them at most; 0: always. Default
   * 67,108,864 (64 MiB).
   */
  maxBuffered?: number;
  /** Milliseconds that sessions in a message get to finish it when the filter stops. Default 10,000. */
  drainTimeout?: number;
  /** Stop on SIGTERM and SIGINT. Default true. */
  signals?: boolean;
  /**
   * What an uncaught error does, outside the promise that a handler has returned: a promise that a handler forgot, a
   * timer that throws. `exit`: what Node does, the process ends and all sessions with it, in a worker the worker. `report`: the
   * error hook gets it, and the filter goes on; docs/errors.md says what that means for the session. Default `exit`.
   */
  uncaughtErrors?: 'exit' | 'report';
}

/** The permissions of a unix socket, and what to do about one that exists already. */
export interface SocketOptions {
  /** Remove a socket file that no process listens on. Default true. */
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
  maxBuffered: true,
  drainTimeout: true,
  signals: true,
  uncaughtErrors: true,
};
export const SOCKET_OPTIONS: OptionNames<SocketOptions> = {
  removeSocket: true,
  mode: true,
  owner: true,
  group: true,
};

/** {@link MainOptions}, checked and complete. */
export type NormalisedMainOptions = Readonly<Required<MainOptions>>;

/** {@link SocketOptions}, checked; null leaves the choice to the native side. */
export interface NormalisedSocketOptions {
  readonly removeSocket: boolean;
  readonly mode: number | null;
  readonly owner: string | null;
  readonly group: string | null;
}

/** Options of runmilter alone. */
interface RunmilterOptions extends ServiceManagerOptions {
  readonly onListening?: unknown;
}

/** The options with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT, also for those of runmilter alone */
export function normaliseMainOptions(options: MainOptions & RunmilterOptions): NormalisedMainOptions {
  const times = {
    handlerTimeout: options.handlerTimeout ?? 300_000,
    progressInterval: options.progressInterval ?? 5_000,
    drainTimeout: options.drainTimeout ?? 10_000,
  };
  const maxBuffered = options.maxBuffered ?? 64 * 1024 * 1024;
  checkInteger('maxBuffered', maxBuffered, 0, Number.MAX_SAFE_INTEGER);
  for (const [name, milliseconds] of Object.entries(times)) checkInteger(name, milliseconds, 0);
  const uncaughtErrors = options.uncaughtErrors ?? 'exit';
  if (uncaughtErrors !== 'exit' && uncaughtErrors !== 'report')
    throw badArgument(`uncaughtErrors must be 'exit' or 'report', not ${shownValue(uncaughtErrors)}`);
  const { immediate = false, signals = true, systemd = true, onListening } = options;
  checkBooleans('', { immediate, signals, systemd });
  // It is called when the socket is open, which libmilter cannot close again.
  if (onListening !== undefined) checkFunction('onListening', onListening);
  return { ...times, maxBuffered, immediate, signals, uncaughtErrors };
}

function accountName(option: 'owner' | 'group', value: string | number | undefined): string | null {
  if (value === undefined) return null;
  const name = typeof value === 'number' ? String(value) : value;
  checkWord(option, name);
  return name;
}

/** Permissions of more than 0o777 are mostly octal digits that were read as a decimal number. */
function checkMode(mode: number): void {
  if (mode > 0o777 && /^[0-7]{3,4}$/.test(String(mode)))
    throw badArgument(`mode must not be ${mode}, a decimal number: write 0o${mode}`);
  checkInteger('mode', mode, 0, 0o777);
}

/** The options with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function normaliseSocketOptions(options: SocketOptions): NormalisedSocketOptions {
  const { mode, removeSocket = true } = options;
  checkBoolean('removeSocket', removeSocket);
  if (mode !== undefined) checkMode(mode);
  return {
    removeSocket,
    mode: mode ?? null,
    owner: accountName('owner', options.owner),
    group: accountName('group', options.group),
  };
}
