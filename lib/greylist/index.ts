/**
 * `tsmilter/greylist`: mail from a sender who is not known is put off once; who comes back is let in.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export { Greylist, type GreylistOptions } from './greylist.js';
export { RedisStore, type RedisStoreOptions } from './redis-store.js';
export type { Rules } from './rules.js';
export { SqliteStore, type SqliteStoreOptions } from './sqlite-store.js';
export type { GreylistStore, Triple } from './store.js';
