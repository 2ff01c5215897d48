/** Parsing of IP addresses that node:net's isIP has accepted. */
import ipaddr from 'ipaddr.js';

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** The last 32 bits of an IPv6 address in the form of IPv4 (RFC 4291 2.2). */
const DOTTED_END = /:(\d+)\.(\d+)\.(\d+)\.(\d+)(?=%|$)/;

/** Parses an address as it is written. */
export function parseIp(text: string): IpAddress {
  return ipaddr.parse(withoutDots(text));
}

/** As {@link parseIp}, but an IPv4-mapped address such as `::ffff:192.0.2.1` becomes the IPv4 address in it. */
export function parseUnmappedIp(text: string): IpAddress {
  return ipaddr.process(withoutDots(text));
}

/** ipaddr.js takes `::192.0.2.1`, an address like any other (RFC 4291 2.5.5.1), for `::ffff:192.0.2.1`. */
function withoutDots(text: string): string {
  return text.replace(DOTTED_END, (_dotted, ...octets: string[]) => {
    const [a, b, c, d] = octets.slice(0, 4).map(Number) as [number, number, number, number];
    return `:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
}
