/** Names that DNS can be asked for. */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** RFC 1035 2.3.4, without the dot at the end. */
const MAX_NAME_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;

/** Without the dot at its end; undefined where DNS cannot have such a name, or it is not ASCII. */
export function askableName(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > MAX_NAME_LENGTH || !/^[\x21-\x7e]+$/.test(name)) return undefined;
  const labels = name.split('.');
  return labels.every(({ length }) => length > 0 && length <= MAX_LABEL_LENGTH) ? name : undefined;
}

/** `1.2.0.192.in-addr.arpa` of 192.0.2.1, or the name below ip6.arpa; undefined for what is not an address. */
export function reverseName(ip: string): string | undefined {
  if (!isIPv4(ip) && !isIPv6(ip)) return undefined;
  const address = ipaddr.process(ip.replace(/%.*/, '')); // IPv4-mapped addresses as IPv4
  if (address.kind() === 'ipv4') return `${address.toByteArray().reverse().join('.')}.in-addr.arpa`;
  const digits = Buffer.from(address.toByteArray()).toString('hex');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
