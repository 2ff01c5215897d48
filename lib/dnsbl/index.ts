/** `tsmilter/dnsbl`: lists of addresses and domains in DNS (RFC 5782). */
export { MilterError } from '../internal/errors.js';
export {
  checkDomain,
  checkIp,
  type DnsblFailure,
  type DnsblListing,
  type DnsblOptions,
  type DnsblResolver,
  type DnsblResult,
} from './check.js';
export { type HostNameLimits, hostNamesIn } from './host-names.js';
export { type DnsblList, knownCodes } from './list.js';
export { testList } from './test-list.js';
