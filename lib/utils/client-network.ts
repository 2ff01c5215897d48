/** Clients of the same network, which count as one. */
import ipaddr from 'ipaddr.js';
import { readIp, textOf } from './ip.js';

/** Prefix lengths of the networks whose clients count as one. */
export interface ClientNetworks {
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
}

/**
 * The network of a client, such as `192.0.2.0/24`: large senders retry from another host of the same network. Text that is not an
 * address is returned unchanged, and so is an address if its whole length is compared.
 */
export function clientNetwork(ip: string, { ipv4Prefix, ipv6Prefix }: ClientNetworks): string {
  const address = readIp(ip);
  if (address === undefined) return ip;
  const bytes = address.toByteArray();
  const bits = address.kind() === 'ipv4' ? ipv4Prefix : ipv6Prefix;
  if (bits >= bytes.length * 8) return ip;
  for (const at of bytes.keys()) {
    const kept = Math.min(8, Math.max(0, bits - at * 8));
    bytes[at] = (bytes[at] as number) & (0xff << (8 - kept));
  }
  return `${textOf(ipaddr.fromByteArray(bytes))}/${bits}`;
}
