/**
 * `tsmilter/ratelimit`: limits how much clients, accounts and addresses may send in an hour or a day.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export type { RedisStoreOptions } from '../internal/stores/redis-requests.js';
export type { LimitedBy } from './keys.js';
export {
  type NamedLimits,
  type RateLimit,
  RateLimiter,
  type RateLimiterOptions,
  type RateLimitResult,
} from './rate-limiter.js';
export { RedisRateLimitStore } from './redis-store.js';
export { SqliteRateLimitStore, type SqliteRateLimitStoreOptions } from './sqlite-store.js';
export type { Counter, CounterOptions, RateLimitStore } from './store.js';
