/** DNS for one message or one session: one cache of the thread for all, and a budget of questions and time for each. */
import { DnsCache, DnsSession } from 'tsmilter/dns';
import { list, type Option } from './options';

/** Whom to ask, and how much. */
export interface DnsSettings {
  /** If empty, the system's servers are used. */
  readonly nameservers: readonly string[];
  /** Questions that may be asked. */
  readonly max_lookups: number;
  /** Seconds for all answers together. */
  readonly max_time: number;
}

const cache = new DnsCache({ cacheSize: 10_000 });

/** The resolver for one message or one session. Its limits bound what a sender can cause. */
export function resolverFor(
  { nameservers, max_lookups, max_time }: DnsSettings,
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

const servers = list(
  'DNS servers, such as `127.0.0.1:5353` or `[2001:db8::53]:53`; empty: those of the system',
);

/** The option for the servers: addresses, because their names could not be looked up. */
export const nameservers: Option<readonly string[]> = {
  ...servers,
  async read(value, context) {
    const found = await servers.read(value, context);
    if (found.length > 0) new DnsSession({ servers: found }); // checks them
    return found;
  },
};
