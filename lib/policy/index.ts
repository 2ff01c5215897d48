/**
 * `tsmilter/policy`: what Sendmail's access map, or one like it, says about a sender.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export { AccessMap, type AccessMapOptions } from './access-map.js';
export type { MapLimits } from './limits.js';
export type { MapType } from './map-type.js';
export { MTAPolicy, type PolicyMap } from './mta-policy.js';
