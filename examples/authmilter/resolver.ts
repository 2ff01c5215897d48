/** DNS: one cache of this thread for all, and for each message one budget of questions and time for all of its checks. */
import { DnsCache, DnsSession } from 'tsmilter/dns';
import type { Config } from './config';

const cache = new DnsCache({ cacheSize: 10_000 });

export function resolverFor({ verify }: Pick<Config, 'verify'>, signal?: AbortSignal): DnsSession {
  return new DnsSession({
    cache,
    ...(verify.nameservers.length > 0 && { servers: verify.nameservers }),
    maxLookups: verify.maxLookups,
    maxTime: verify.dnsTime,
    ...(signal && { signal }),
  });
}

/** For the consent of those that reports are sent to: many domains, and no session waits. */
export function reportResolverFor({ verify }: Pick<Config, 'verify'>): DnsSession {
  return new DnsSession({
    cache,
    ...(verify.nameservers.length > 0 && { servers: verify.nameservers }),
    maxLookups: 100_000,
    maxTime: 3_600_000,
  });
}
