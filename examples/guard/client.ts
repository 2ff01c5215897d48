/** Who the client is. */
import type { DnsSession } from 'tsmilter/dns';
import type { NetworkList } from 'tsmilter/lists';
import type { ClientFacts } from 'tsmilter/message';
import { isDynip } from 'tsmilter/utils';
import { isOnThisHost } from '../shared/networks';

/**
 * - `internal`: in our networks, or a program on this host
 * - `relay`: a trusted relay, such as a secondary MX, that has checked the mail
 * - `authenticated`: has logged in, wherever it is; known from MAIL on
 * - `dynamic`: external, without a name in DNS, or with one that looks generated from the address
 * - `external`: everybody else
 */
export const CLIENT_CLASSES = ['internal', 'relay', 'authenticated', 'dynamic', 'external'] as const;
export type ClientClass = (typeof CLIENT_CLASSES)[number];

/** Names in DNS beyond these are not read. */
const MAX_NAMES = 10;

/** The networks that tell clients apart. */
export interface Networks {
  readonly internal_connect: NetworkList;
  readonly trusted_relay: NetworkList;
}

export interface Client extends ClientFacts {
  readonly class: ClientClass;
  /** The names in the PTR records of its address; null if DNS has not answered, or if it was not asked: for clients of ours. */
  readonly ptr: readonly string[] | null;
}

/** Never rejects. */
export async function classify(client: ClientFacts, networks: Networks, dns: DnsSession): Promise<Client> {
  const { address, hostname } = client;
  if (address === null)
    return { ...client, class: isOnThisHost(hostname) ? 'internal' : 'external', ptr: null };
  if (networks.internal_connect.has(address)) return { ...client, class: 'internal', ptr: null };
  if (networks.trusted_relay.has(address)) return { ...client, class: 'relay', ptr: null };
  const ptr = await namesOf(address, dns);
  const isDynamic = ptr?.every((name) => isDynip(name, address)) ?? false;
  return { ...client, class: isDynamic ? 'dynamic' : 'external', ptr };
}

/** DNS that fails says nothing about the client. */
async function namesOf(address: string, dns: DnsSession): Promise<string[] | null> {
  try {
    return (await dns.reverse(address)).slice(0, MAX_NAMES);
  } catch (error) {
    const { code } = error as { code?: unknown };
    return code === 'ENOTFOUND' || code === 'ENODATA' ? [] : null;
  }
}
