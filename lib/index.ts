/**
 * Sendmail and Postfix filters in TypeScript, on the real libmilter.
 * @module milter
 */
export { Base } from './base.js';
export type { NegotiationOptions } from './callbacks.js';
export * from './constants.js';
export { Context } from './context.js';
export type { DecodePolicy } from './decode.js';
export {
  type ClassDecorator,
  decode,
  headerLeadingSpace,
  immediate,
  type MethodDecorator,
  nocallback,
  noreply,
  rejectedRecipients,
  symlist,
} from './decorators.js';
export { DisabledAction, MilterError, type MilterErrorCode } from './errors.js';
export type { ErrorHook, ExceptionPolicy } from './exceptions.js';
export { type Factory, setFactory } from './filter.js';
export { setFlags } from './flags.js';
export { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, type Peer } from './hostaddr.js';
export { Milter } from './milter.js';
export { dictfromlist, envcallback, param2dict } from './params.js';
export {
  getdiag,
  type ListeningAddress,
  type RunOptions,
  runmilter,
  setErrorHook,
  setExceptionPolicy,
  stop,
} from './runmilter.js';
export type { MainOptions, SocketOptions } from './runtime.js';
export type { Answer, Status } from './status.js';
export { uniqueID } from './unique-id.js';
export type { WorkerOptions } from './workers/options.js';
