/**
 * Whole messages: a filter gets each message at once and edits it like a document.
 * @module tsmilter/message
 */
export { EnvelopeAddress, type EsmtpParams } from './address.js';
export type { Body, BodySource } from './body.js';
export type { StorageOptions } from './body-store.js';
export { HeaderField } from './header-field.js';
export type { HeaderPlace, Headers, HeaderValueOptions } from './headers.js';
export { MessageFilter } from './message-filter.js';
export {
  type Decide,
  type DecideRecipient,
  type DecisionFilter,
  type DecisionStage,
  type MessageFilterOptions,
  messageFilter,
} from './message-function.js';
export type { RecipientPlace, Recipients } from './recipients.js';
export { type SaveFailedOptions, saveFailed } from './save-failed.js';
export type { AuthFacts, ClientFacts, TlsFacts } from './session-facts.js';
export type { SessionFacts, Transaction } from './transaction.js';
