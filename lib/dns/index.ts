/** `tsmilter/dns`: DNS lookups for one message or SMTP session, with a cache and limits. */
export { MilterError } from '../internal/errors.js';
export { DnsCache, type DnsCacheOptions } from './cache.js';
export { DnsError, type DnsErrorCode } from './error.js';
export { type DnsFailure, dnsFailureOf } from './failure.js';
export type {
  DnsAnswer,
  DnsExchange,
  DnsQuestion,
  DnsRecord,
  DnsRecordType,
  MxRecord,
  RecordsByType,
} from './record-types.js';
export { DnsSession, type DnsSessionLimits, type DnsSessionOptions } from './session.js';
export type { TransportOptions } from './transport.js';
