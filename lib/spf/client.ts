/** The client's IP address, and its forms in SPF macros. */
import { bitsOf, type IpAddress, inNetwork, type Network, requireIp, textOf } from '../utils/ip.js';
import type { Family } from './lookups.js';
import type { Bits } from './record.js';

export class Client {
  readonly address: IpAddress;
  /** The canonical text, for messages and the macro `c`. */
  readonly text: string;
  /** The macro `i`: an IPv6 address as hexadecimal digits separated by dots (RFC 7208 7.3). */
  readonly dotted: string;

  /** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
  constructor(ip: unknown) {
    // The zone of a link-local address has a meaning on this host only.
    const address = requireIp(
      'checkSpf: ip',
      typeof ip === 'string' && ip.includes(':') ? ip.split('%', 1)[0] : ip,
    );
    this.address = address;
    this.text = textOf(address);
    const digits = () => [...Buffer.from(address.toByteArray()).toString('hex')];
    this.dotted = this.family === 'ipv4' ? this.text : digits().join('.');
  }

  get family(): Family {
    return this.address.kind() as Family;
  }

  /** The macro `v`. */
  get zone(): 'in-addr' | 'ip6' {
    return this.family === 'ipv4' ? 'in-addr' : 'ip6';
  }

  isIn(network: Network): boolean {
    return inNetwork(this.address, network);
  }

  /** Whether the client's address has the same prefix as one of the addresses. */
  sharesPrefixWith(addresses: readonly IpAddress[], bits: Bits): boolean {
    return addresses.some((address) => this.isIn([address, bits[this.family]]));
  }

  isOneOf(addresses: readonly IpAddress[]): boolean {
    return addresses.some((address) => this.isIn([address, bitsOf(address)]));
  }
}
