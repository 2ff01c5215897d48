/** `tsmilter/dns`: DNS lookups for one SMTP session, with a cache and limits. */
export { MilterError } from '../internal/errors.js';
export { DnsError, type DnsErrorCode } from './error.js';
export type {
  DnsAnswer,
  DnsExchange,
  DnsQuestion,
  DnsRecord,
  DnsRecordType,
  MxRecord,
  RecordsByType,
} from './record-types.js';
export { DnsSession, type DnsSessionOptions } from './session.js';
export type { TransportOptions } from './transport.js';
