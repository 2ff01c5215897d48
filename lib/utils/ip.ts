/** Parsing and comparison of IP addresses and networks. */
import { isIP } from 'node:net';
import type ipaddr from 'ipaddr.js';
import { badArgument } from '../internal/errors.js';
import { type IpAddress, parseUnmappedIp } from '../internal/parse-ip.js';

export type { IpAddress } from '../internal/parse-ip.js';

/** An address and a prefix length. */
export type Network = [address: IpAddress, bits: number];

const MAPPED_BITS = 96;

/**
 * Parses an address. An IPv4-mapped address such as `::ffff:192.0.2.1` becomes the IPv4 address in it.
 *
 * @returns undefined if the text is not an address. ipaddr.js alone would also accept octal and hexadecimal numbers and short
 *   forms, which other programs read differently.
 */
export function readIp(text: string): IpAddress | undefined {
  return isIP(text) === 0 ? undefined : parseUnmappedIp(text);
}

/** As {@link readIp}, but throws ERR_MILTER_BAD_ARGUMENT, with `caller` in the message, if the text is not an address. */
export function requireIp(caller: string, text: unknown): IpAddress {
  const address = typeof text === 'string' ? readIp(text) : undefined;
  if (address) return address;
  throw badArgument(`${caller}: ${JSON.stringify(text) ?? String(text)} is not an IPv4 or IPv6 address`);
}

/** The number of bits in an address of this family. */
export function bitsOf(address: IpAddress): number {
  return address.kind() === 'ipv4' ? 32 : 128;
}

/**
 * The network `base/bits`, or the address alone without `bits`.
 *
 * @returns undefined if `base` is not an address, or has fewer bits
 */
export function networkOf(base: string, bits: number | undefined): Network | undefined {
  const address = readIp(base);
  if (!address) return undefined;
  if (bits === undefined) return [address, bitsOf(address)];
  const mapped = address.kind() === 'ipv4' && base.includes(':');
  const rest = mapped ? bits - MAPPED_BITS : bits;
  return rest < 0 || rest > bitsOf(address) ? undefined : [address, rest];
}

/** Whether the address is in the network. An IPv4 network never contains an IPv6 address. */
export function inNetwork(address: IpAddress, [base, bits]: Network): boolean {
  return address.kind() === base.kind() && address.match(base, bits);
}

/** The canonical text of an address: lower case, with zeros compressed (RFC 5952). */
export function textOf(address: IpAddress): string {
  return address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString();
}
