/**
 * `tsmilter/testing`: tools for tests of filters. Nothing here needs libmilter.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export type { FeedEnvelope, FeedResult } from './simulator/feed.js';
export type { MessageSource } from './simulator/message-source.js';
export type { HandlerError } from './simulator/recording-exceptions.js';
export { type ReplayResult, replay } from './simulator/replay.js';
export type { TestStep } from './simulator/steps.js';
export { TestCtx } from './simulator/test-ctx.js';
export type { MacrosByTestStep, TestCtxOptions } from './simulator/test-ctx-options.js';
export type { Header, HeaderRules, Recipient, TestMessage } from './simulator/test-message.js';
export type { Text } from './wire/frames.js';
export type { Macros, MacrosByStep } from './wire/macros.js';
export type { Envelope, Message, MessageResult } from './wire/message.js';
export { MtaSession } from './wire/mta-session.js';
export type { MtaSessionOptions } from './wire/mta-session-options.js';
export type { Negotiated, Offer } from './wire/negotiation.js';
export type { PeerAddress } from './wire/peer-address.js';
export { Actions, Protocol, type Step, type SymlistStage } from './wire/protocol.js';
export type {
  EomResponse,
  Modification,
  Plain,
  Refusal,
  Reply,
  Response,
  Verdict,
} from './wire/replies.js';
