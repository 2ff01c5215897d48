/**
 * `milter/testing`: tools for tests of filters. Nothing here needs libmilter.
 *
 * @module
 */
export { MilterError } from '../errors.js';
export type { Text } from './frames.js';
export type { TestStep } from './libmilter.js';
export type { Macros, MacrosByStep } from './macros.js';
export type { Envelope, Message, MessageResult } from './message.js';
export type { MessageSource } from './message-source.js';
export { MtaSession, type MtaSessionOptions, type PeerAddress } from './mta-session.js';
export type { Negotiated, Offer } from './negotiation.js';
export { Actions, Protocol, type Step, type SymlistStage } from './protocol.js';
export type {
  EomResponse,
  Modification,
  Plain,
  Refusal,
  Reply,
  Response,
  Verdict,
} from './replies.js';
export {
  type FeedEnvelope,
  type FeedResult,
  type HandlerError,
  type MacrosByTestStep,
  TestCtx,
  type TestCtxOptions,
} from './test-ctx.js';
export type { Header, HeaderRules, Recipient, TestMessage } from './test-message.js';
