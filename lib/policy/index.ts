/**
 * `tsmilter/policy`: policies for senders from Sendmail's access map, or a map of the same form.
 *
 * @module
 */
export { MilterError } from '../internal/errors.js';
export { AccessMap, type AccessMapOptions } from './access-map.js';
export type { MapLimits } from './limits.js';
export type { MapType } from './map-type.js';
export { MTAPolicy, type PolicyMap } from './mta-policy.js';
