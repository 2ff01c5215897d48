/** DNS for one message or one session: one cache of the process for all, and a budget of questions and time for each. */
import { DnsCache, DnsSession } from 'tsmilter/dns';
import type { Config } from './config';

const cache = new DnsCache({ cacheSize: 10_000 });

export function resolverFor(
  { nameservers, max_lookups, max_time }: Config['dns'],
  signal?: AbortSignal,
): DnsSession {
  return new DnsSession({
    cache,
    ...(nameservers.length > 0 && { servers: nameservers }),
    maxLookups: max_lookups,
    maxTime: max_time * 1000,
    ...(signal && { signal }),
  });
}
