/**
 * `tsmilter/reputation`: what the last messages of a domain were, by how the domain was authenticated.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export type { RedisStoreOptions } from '../internal/stores/redis-requests.js';
export type { Outcome } from './outcomes.js';
export { RedisReputationStore } from './redis-store.js';
export { Reputation, type ReputationOptions } from './reputation.js';
export type { ReputationScore } from './score.js';
export { SqliteReputationStore, type SqliteReputationStoreOptions } from './sqlite-store.js';
export type { HostRecord, ReputationEntry, ReputationStore } from './store.js';
