/** Names in DNS questions. */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The maximum length of a name (RFC 1035 2.3.4), without the final dot. */
export const MAX_NAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;

/** Removes a final dot from a name. @returns undefined if the name is not ASCII, or not valid in DNS */
export function validDnsName(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > MAX_NAME_LENGTH || !/^[\x21-\x7e]+$/.test(name)) return undefined;
  const labels = name.split('.');
  return labels.every(({ length }) => length > 0 && length <= MAX_LABEL_LENGTH) ? name : undefined;
}

/** The name of an address's PTR records, such as `1.2.0.192.in-addr.arpa`; undefined if `ip` is not an IP address. */
export function reverseName(ip: string): string | undefined {
  if (!isIPv4(ip) && !isIPv6(ip)) return undefined;
  const address = ipaddr.process(ip.replace(/%.*/, '')); // converts IPv4-mapped addresses to IPv4
  if (address.kind() === 'ipv4') return `${address.toByteArray().reverse().join('.')}.in-addr.arpa`;
  const digits = Buffer.from(address.toByteArray()).toString('hex');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
