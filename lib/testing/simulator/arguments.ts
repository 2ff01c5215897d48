/** What a test passes to a step, in the form in which libmilter passes it to a filter. */
import { SocketAddress } from 'node:net';
import { types } from 'node:util';
import { decodeBytes } from '../../internal/bytes.js';
import { badArgument } from '../../internal/errors.js';
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from '../../session/hostaddr.js';
import { bytesOf, type Text } from '../wire/frames.js';
import type { PeerAddress } from '../wire/peer-address.js';

/** What a sockaddr_un holds, without its NUL. */
const MAX_PATH_BYTES = 107;

/** An address as libmilter passes it on: family, port, flow information, scope, and the text if it has one. */
export type PeerArguments = readonly [numbers: readonly number[], text: readonly string[]];

/** A text as a filter receives it. */
export function textOf(what: string, value: Text): string {
  if (typeof value !== 'string' && !types.isUint8Array(value)) {
    throw badArgument(`${what} must be a string or bytes, not ${value === null ? 'null' : typeof value}`);
  }
  const text = decodeBytes(bytesOf(value));
  if (text.includes('\0')) throw badArgument(`${what} contains a NUL character, which no MTA sends`);
  return text;
}

/** A header's value without the space after the colon, which MTAs remove. */
export function withoutSpace(value: string): string {
  return value.startsWith(' ') ? value.slice(1) : value;
}

/** The client's address as libmilter passes it on. */
export function peerArguments(peer: PeerAddress): PeerArguments {
  switch (peer.family) {
    case 'inet':
    case 'inet6':
      return inetArguments(peer);
    case 'unix': {
      const path = textOf('hostaddr: path', peer.path);
      if (bytesOf(path).length > MAX_PATH_BYTES) {
        throw badArgument(`hostaddr: a path has at most ${MAX_PATH_BYTES} bytes`);
      }
      return [[AF_UNIX, 0, 0, 0], [path]];
    }
    case 'unknown':
      return [[AF_UNSPEC, 0, 0, 0], []];
    default:
      throw badArgument(
        "hostaddr must be { family: 'inet' or 'inet6', address, port }, { family: 'unix', path } or { family: 'unknown' }",
      );
  }
}

function inetArguments(peer: PeerAddress & { readonly family: 'inet' | 'inet6' }): PeerArguments {
  const [family, name] =
    peer.family === 'inet' ? ([AF_INET, 'ipv4'] as const) : ([AF_INET6, 'ipv6'] as const);
  // Sendmail writes `IPv6:` before an address; libmilter removes it and shortens the address.
  const address = peer.family === 'inet' ? peer.address : peer.address.replace(/^IPv6:/i, '');
  if (!Number.isInteger(peer.port) || peer.port < 0 || peer.port > 65535) {
    throw badArgument(`hostaddr: the port must be a whole number from 0 to 65535, not ${peer.port}`);
  }
  try {
    return [[family, peer.port, 0, 0], [new SocketAddress({ address, family: name }).address]];
  } catch {
    throw badArgument(
      `hostaddr: ${JSON.stringify(peer.address)} is not an address of the family ${peer.family}`,
    );
  }
}
