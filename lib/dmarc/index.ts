/** `tsmilter/dmarc`: Domain-based Message Authentication, Reporting, and Conformance (RFC 9989, 9990, 7489). */
export { MilterError } from '../internal/errors.js';
export { dmarcAuthRes } from './authres.js';
export { checkDmarc } from './check-dmarc.js';
export {
  type DmarcAlignment,
  type DmarcPolicy,
  type DmarcRecord,
  parseDmarcRecord,
} from './record.js';
export type {
  CheckDmarcOptions,
  DmarcDecision,
  DmarcMessage,
  DmarcOverride,
  DmarcOverrideType,
  DmarcResult,
  DmarcResultName,
  DmarcSpf,
} from './types.js';
