/** `tsmilter/spf`: checks whether a client is allowed to send mail for a domain (RFC 7208). */
export { MilterError } from '../internal/errors.js';
export { checkSpf } from './check-spf.js';
export type {
  SpfCheck,
  SpfIdentity,
  SpfOptions,
  SpfQuery,
  SpfResolver,
  SpfResultName,
} from './types.js';
