/** Where a client is: in our networks, a trusted relay, or elsewhere. */
import { entriesOf } from 'tsmilter/config';
import { iniplist, type NameResolver } from 'tsmilter/utils';
import type { Option } from './options';

/**
 * - `internal`: a client of our own, or a program on this host
 * - `relay`: a host that has checked the mail already, such as a secondary MX
 * - `external`: everybody else
 */
export type Place = 'internal' | 'relay' | 'external';

/** The lists of the configuration. */
export interface Networks {
  readonly internal_connect: readonly string[];
  readonly trusted_relay: readonly string[];
}

const NOWHERE: NameResolver = { resolve4: async () => [], resolve6: async () => [] };

/** A list for `iniplist`. Host names in it are looked up for each client, not when it is read. */
export function networks(doc: string): Option<readonly string[]> {
  return {
    doc,
    fallback: '',
    async read(value) {
      const entries = entriesOf(value);
      await iniplist('192.0.2.1', entries, { resolver: NOWHERE }); // rejects for an invalid entry
      return entries;
    },
  };
}

/** Whether a client without an address is a program on this host. Postfix says `unknown` of one whose address it does not know. */
export const isOnThisHost = (hostname: string): boolean => hostname !== 'unknown';

/**
 * Where the client is.
 *
 * @param ip null for a client without an address
 * @param hostname as the MTA says it
 * @param onLookupError called for a host name in the lists that cannot be resolved; it then matches no client
 */
export async function placeOf(
  ip: string | null,
  hostname: string,
  { internal_connect, trusted_relay }: Networks,
  resolver: NameResolver,
  onLookupError: (name: string, error: Error) => void,
): Promise<Place> {
  if (ip === null) return isOnThisHost(hostname) ? 'internal' : 'external';
  const options = { resolver, onLookupError };
  if (await iniplist(ip, internal_connect, options)) return 'internal';
  if (await iniplist(ip, trusted_relay, options)) return 'relay';
  return 'external';
}
