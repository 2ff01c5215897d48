/**
 * `tsmilter/greylist`: defers mail from unknown senders until they try again.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export type { RedisStoreOptions } from '../internal/stores/redis-requests.js';
export { Greylist, type GreylistOptions } from './greylist.js';
export { foldSender } from './normalise.js';
export { RedisStore } from './redis-store.js';
export type { Rules } from './rules.js';
export { SqliteStore, type SqliteStoreOptions } from './sqlite-store.js';
export type { GreylistStore, Triple } from './store.js';
