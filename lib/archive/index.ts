/**
 * Archives: messages appended to a mailbox, and messages that a handler failed on, kept with their sessions.
 * @module tsmilter/archive
 */
export { FailedMessages, type FailedMessagesOptions } from './failed-messages.js';
export type { Chunks } from './from-lines.js';
export { MboxArchive, type MboxArchiveOptions, type MboxEnvelope } from './mbox-archive.js';
export { type MboxMessage, type ReadMboxOptions, readMbox } from './read-mbox.js';
export {
  describeError,
  readSaved,
  type SavedError,
  type SavedFacts,
  type SavedMacros,
  type SavedMessage,
  type SavedPeer,
} from './saved-message.js';
