/** DNS for one message: one cache of this thread for all, and one budget of questions and time for all checks of the message. */
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
