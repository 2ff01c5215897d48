/**
 * Sendmail and Postfix filters in TypeScript, on the real libmilter.
 * @module tsmilter
 */

export * from './addon/constants.js';
export type { Answer, Status } from './addon/status.js';
export { type AnyFilter, Base } from './filter/base.js';
export type { DecodePolicy } from './filter/decode.js';
export {
  borrowed,
  type ClassDecorator,
  decode,
  headerLeadingSpace,
  immediate,
  type MethodDecorator,
  nocallback,
  noreply,
  rejectedRecipients,
  symlist,
} from './filter/decorators.js';
export { type Factory, setFactory } from './filter/dispatch.js';
export { Milter } from './filter/milter.js';
export { dictfromlist, envcallback, param2dict } from './filter/params.js';
export { uniqueID } from './filter/unique-id.js';
export { DisabledAction, MilterError, type MilterErrorCode } from './internal/errors.js';
export type { Logger, LogLevel, LogMethod } from './internal/logger.js';
export type { AnyLogMethod, GivenLogger, LogOptions } from './log/options.js';
export type { MetricsOptions } from './metrics/options.js';
export {
  getdiag,
  type ListeningAddress,
  type RunOptions,
  runmilter,
  setErrorHook,
  setExceptionPolicy,
  stop,
} from './runmilter.js';
export type { MainOptions, SocketOptions } from './runtime/options.js';
export { Context } from './session/context.js';
export type { ErrorHook, ExceptionPolicy } from './session/exception-policy.js';
export { setFlags } from './session/flags.js';
export { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, type Peer } from './session/hostaddr.js';
export type { NegotiationOptions } from './session/negotiation-options.js';
export type { SessionFacts } from './session/observer.js';
export type { WorkerOptions } from './workers/options.js';
