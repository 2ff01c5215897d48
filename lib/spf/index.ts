/** `tsmilter/spf`: may this client send mail for this domain (RFC 7208)? */
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
