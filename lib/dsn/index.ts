/** `tsmilter/dsn`: callback verification of senders, and notices to senders. */
export { MilterError } from '../internal/errors.js';
export type { DsnStage } from './conversation.js';
export { createMsg, type NoticeOptions } from './create-msg.js';
export type { DsnResolver } from './hosts.js';
export { type DsnOptions, type DsnRefusal, sendDsn } from './send-dsn.js';
