/** Classifies clients: internal, a trusted relay that has already checked the mail, or external. */
import { iniplist, type NameResolver } from 'tsmilter/utils';

export type Place = 'INTERNAL' | 'TRUSTED' | 'EXTERNAL';

/** The lists from the configuration. */
export interface Networks {
  readonly internalConnect: readonly string[];
  readonly trustedRelay: readonly string[];
}

/** @throws MilterError for an invalid entry. Host names are not resolved here. */
export async function checkNetworks(list: readonly string[]): Promise<void> {
  const nowhere: NameResolver = { resolve4: async () => [], resolve6: async () => [] };
  await iniplist('192.0.2.1', list, { resolver: nowhere });
}

/**
 * @param ip null for a client without an address, which is a program on this host
 * @param onLookupError called for a host name in the lists that cannot be resolved; it then matches no client
 */
export async function placeOf(
  ip: string | null,
  { internalConnect, trustedRelay }: Networks,
  resolver: NameResolver,
  onLookupError: (name: string, error: Error) => void,
): Promise<Place> {
  if (ip === null) return 'INTERNAL';
  const options = { resolver, onLookupError };
  if (await iniplist(ip, internalConnect, options)) return 'INTERNAL';
  if (await iniplist(ip, trustedRelay, options)) return 'TRUSTED';
  return 'EXTERNAL';
}
