/** `tsmilter/dmarc`: Domain-based Message Authentication, Reporting, and Conformance (RFC 9989, 9990, 7489). */
export { MilterError } from '../internal/errors.js';
export type { RedisStoreOptions } from '../internal/stores/redis-requests.js';
export { dmarcAuthRes } from './authres.js';
export { checkDmarc } from './check-dmarc.js';
export {
  type DmarcAlignment,
  type DmarcPolicy,
  type DmarcRecord,
  type DmarcUri,
  parseDmarcRecord,
} from './record.js';
export { RedisReportStore, type RedisReportStoreOptions } from './redis-report-store.js';
export {
  type RefusedDestination,
  type ReportDestination,
  type ReportDestinations,
  reportDestinations,
} from './report-destinations.js';
export {
  type ReportEntry,
  type ReportFacts,
  type ReportPolicy,
  type ReportRow,
  reportEntry,
} from './report-entry.js';
export type { ReportLimits } from './report-limits.js';
export { type ReportMail, type ReportSender, reportMails } from './report-mail.js';
export type { DmarcReportStore, StoredReport } from './report-store.js';
export { type ReportMetadata, reportXml } from './report-xml.js';
export { type SendReportsOptions, type SentReport, sendReports } from './send-reports.js';
export { SqliteReportStore, type SqliteReportStoreOptions } from './sqlite-report-store.js';
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
