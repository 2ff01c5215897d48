/** Who the client is, and what is done with its mail. */
import { iniplist, type NameResolver } from 'tsmilter/utils';
import type { Config, Task } from './config';

export type Place = 'internal' | 'relay' | 'external';

/** @throws MilterError for an invalid entry. Host names are not resolved here. */
export async function checkNetworks(list: readonly string[]): Promise<void> {
  const nowhere: NameResolver = { resolve4: async () => [], resolve6: async () => [] };
  await iniplist('192.0.2.1', list, { resolver: nowhere });
}

/**
 * Where the client is.
 *
 * @param ip null for a client without an address, which is a program on this host
 * @param onLookupError called for a host name in the lists that cannot be resolved; it then matches no client
 */
export async function placeOf(
  ip: string | null,
  { internalConnect, trustedRelay }: Config['clients'],
  resolver: NameResolver,
  onLookupError: (name: string, error: Error) => void,
): Promise<Place> {
  if (ip === null) return 'internal';
  const options = { resolver, onLookupError };
  if (await iniplist(ip, internalConnect, options)) return 'internal';
  if (await iniplist(ip, trustedRelay, options)) return 'relay';
  return 'external';
}

/** What is known of a client when it sends MAIL. */
export interface Client {
  readonly place: Place;
  /** Who has logged in, or null. */
  readonly user: string | null;
  /** The name of the port that the client has connected to, or null. */
  readonly port: string | null;
}

/** What is done with a message, and because of what: the port decides first, then the login, then the address. */
export function taskFor(client: Client, clients: Config['clients']): { task: Task; because: string } {
  const { place, user, port } = client;
  const ofPort = port === null ? undefined : clients.ports.get(port.toLowerCase());
  if (ofPort !== undefined) return { task: ofPort, because: `port ${port}` };
  if (user !== null) return { task: clients.authenticated, because: `user ${user}` };
  return { task: clients[place], because: `${place} client` };
}

export const verifies = (task: Task): boolean => task === 'verify' || task === 'both';
export const signs = (task: Task): boolean => task === 'sign' || task === 'both';
