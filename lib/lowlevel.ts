/**
 * libmilter function by function, as in pymilter's C module: callbacks take a context, and there are no classes.
 * @module tsmilter/lowlevel
 */

import { native } from './addon/native.js';
import { MilterError } from './internal/errors.js';
import { checkInteger, checkOptions, checkWord, type OptionNames } from './internal/validate.js';
import { setDataCallback, setNegotiateCallback, setUnknownCallback } from './runtime/callback-setters.js';
import {
  MAIN_OPTIONS,
  type MainOptions,
  normaliseMainOptions,
  normaliseSocketOptions,
  type SocketOptions,
} from './runtime/options.js';
import { runtime } from './runtime/runtime.js';
import { checkSocketSpec } from './runtime/socket-spec.js';
import type { CallbackTypes } from './session/callback-types.js';

export * from './addon/constants.js';
export type { Answer, Status } from './addon/status.js';
export { DisabledAction, MilterError, type MilterErrorCode } from './internal/errors.js';
export { getdiag, setErrorHook, setExceptionPolicy, stop } from './runmilter.js';
export * from './runtime/callback-setters.js';
export type { MainOptions, SocketOptions } from './runtime/options.js';
export type { CallbackTypes } from './session/callback-types.js';
export { Context } from './session/context.js';
export type { ErrorHook, ExceptionPolicy } from './session/exception-policy.js';
export { setFlags } from './session/flags.js';
export { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, type Peer } from './session/hostaddr.js';
export type { NegotiationOptions } from './session/negotiation-options.js';

let socket: string | null = null;
let opened = false;

/** Callbacks that register also sets, as pymilter's register does. */
export interface RegisterOptions {
  unknown?: CallbackTypes['unknown'];
  data?: CallbackTypes['data'];
  negotiate?: CallbackTypes['negotiate'];
}

const REGISTER_OPTIONS: OptionNames<RegisterOptions> = { unknown: true, data: true, negotiate: true };

/** Names the filter and registers its callbacks. libmilter: smfi_register. */
export function register(name: string, options: RegisterOptions = {}): void {
  checkWord("the filter's name", name);
  checkOptions('register', options, REGISTER_OPTIONS);
  if (options.unknown) setUnknownCallback(options.unknown);
  if (options.data) setDataCallback(options.data);
  if (options.negotiate) setNegotiateCallback(options.negotiate);
  runtime.register(name);
}

/** Chooses the socket. @throws MilterError ERR_MILTER_BAD_SOCKET. libmilter: smfi_setconn */
export function setconn(spec: string): void {
  checkSocketSpec(spec);
  socket = spec;
  opened = false;
}

const OPEN_OPTIONS: OptionNames<Omit<SocketOptions, 'removeSocket'>> = {
  mode: true,
  owner: true,
  group: true,
};

/**
 * Opens the socket ahead of main, so that a filter which starts privileged can drop its privileges in between. libmilter:
 * smfi_opensocket.
 * @param removeSocket remove a unix socket that no process listens on
 * @throws MilterError whose code says why
 */
export function opensocket(removeSocket: boolean, options: Omit<SocketOptions, 'removeSocket'> = {}): void {
  checkOptions('opensocket', options, OPEN_OPTIONS);
  if (socket === null)
    throw new MilterError('ERR_MILTER_NOT_REGISTERED', 'setconn() comes before opensocket()');
  runtime.openSocket(socket, normaliseSocketOptions({ ...options, removeSocket }));
  opened = true;
}

/** Seconds that the MTA may take for its next command. libmilter: smfi_settimeout; its default is 7210. */
export function settimeout(seconds: number): void {
  checkInteger('settimeout: seconds', seconds, 0);
  native().setTimeout(seconds);
}

/** Connections that may wait to be accepted. libmilter: smfi_setbacklog. */
export function setbacklog(connections: number): void {
  checkInteger('setbacklog: connections', connections, 1);
  native().setBacklog(connections);
}

/** libmilter's debug level, 0 (none) to 6. libmilter: smfi_setdbg. */
export function setdbg(level: number): void {
  checkInteger('setdbg: level', level, 0);
  native().setDebug(level);
}

/** The maximum size of a frame between MTA and filter, in bytes; returns the old one. libmilter: smfi_setmaxdatasize. */
export function setmaxdatasize(bytes: number): number {
  checkInteger('setmaxdatasize: bytes', bytes, 1);
  return native().setMaxDataSize(bytes);
}

/** The version of the libmilter in use. libmilter: smfi_version. */
export function version(): [major: number, minor: number, patchlevel: number] {
  return native().version();
}

/**
 * Serves sessions until stopped, and resolves then. libmilter: smfi_main.
 * @throws MilterError ERR_MILTER_IN_USE while a filter runs, ERR_MILTER_ALREADY_RUN after one has ended
 */
export async function main(options: MainOptions = {}): Promise<void> {
  checkOptions('main', options, MAIN_OPTIONS);
  const normalised = normaliseMainOptions(options);
  if (socket !== null && !opened) opensocket(false);
  await runtime.main(normalised);
}
