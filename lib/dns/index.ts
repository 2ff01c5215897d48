/** `tsmilter/dns`: look-ups for one SMTP session, remembered and within limits. */
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
