/** IP addresses and networks, checked before they are trusted. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { badArgument } from '../internal/errors.js';

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** An address with the number of bits that count. */
export type Network = [address: IpAddress, bits: number];

const MAPPED_BITS = 96;

/**
 * Reads an address; `::ffff:192.0.2.1` is the IPv4 address in it, for that is who the client is.
 *
 * @returns undefined where the text is no address. ipaddr.js alone would take octal and hexadecimal numbers and
 *   short forms too, which other programs read differently.
 */
export function readIp(text: string): IpAddress | undefined {
  return isIP(text) === 0 ? undefined : ipaddr.process(text);
}

/** As {@link readIp}, and throws ERR_MILTER_BAD_ARGUMENT in the name of `caller`. */
export function requireIp(caller: string, text: unknown): IpAddress {
  const address = typeof text === 'string' ? readIp(text) : undefined;
  if (address) return address;
  throw badArgument(`${caller}: ${JSON.stringify(text) ?? String(text)} is not an IPv4 or IPv6 address`);
}

/** How many bits an address of this family has. */
export function bitsOf(address: IpAddress): number {
  return address.kind() === 'ipv4' ? 32 : 128;
}

/**
 * The network `base/bits`; without bits the address alone.
 *
 * @returns undefined where there are more bits than the address has
 */
export function networkOf(base: string, bits: number | undefined): Network | undefined {
  const address = readIp(base);
  if (!address) return undefined;
  if (bits === undefined) return [address, bitsOf(address)];
  const mapped = address.kind() === 'ipv4' && base.includes(':');
  const rest = mapped ? bits - MAPPED_BITS : bits;
  return rest < 0 || rest > bitsOf(address) ? undefined : [address, rest];
}

/** Whether the address is in the network; an IPv4 network holds no IPv6 address, however wide it is. */
export function inNetwork(address: IpAddress, [base, bits]: Network): boolean {
  return address.kind() === base.kind() && address.match(base, bits);
}

/** The one spelling of an address: lower case, zeros compressed (RFC 5952). */
export function textOf(address: IpAddress): string {
  return address.kind() === 'ipv6' ? (address as ipaddr.IPv6).toRFC5952String() : address.toString();
}
