/** Parses lists of clients: networks, patterns, and host names that DNS has to resolve. */

import { MAX_NAME_LENGTH } from '../dns/names.js';
import { badArgument, type MilterError } from '../internal/errors.js';
import { matchesGlob } from './glob.js';
import { type IpAddress, inNetwork, type Network, networkOf, textOf } from './ip.js';

/** A host name, which matches the networks with this prefix length around each of its addresses. */
export interface NameEntry {
  readonly name: string;
  /** The prefix length; undefined for the addresses alone. */
  readonly bits: number | undefined;
}

export interface IpList {
  readonly networks: readonly Network[];
  readonly patterns: readonly string[];
  readonly names: readonly NameEntry[];
}

const PATTERN = /[*?[]/;
/** The characters of an address pattern. `*.example.com` and `[::1]` would never match an address. */
const ADDRESS_PATTERN = /^(?!\[[^\]]*\]$)[0-9a-f.:*?[\]!-]+$/i;
const BITS = /^\d{1,3}$/;
/** A host name (RFC 1123 2.1), also with underscores, which are in use. It needs a letter, or it would be a malformed address. */
const HOST_NAME = /^(?=[^a-z]*[a-z])[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/i;

function badEntry(entry: unknown): MilterError {
  return badArgument(
    `iniplist: ${JSON.stringify(entry) ?? String(entry)} is not an IP address, a network (192.0.2.0/24), ` +
      'a pattern (192.0.2.*) or a host name',
  );
}

/** Parses a list. @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid entry, which would never match */
export function readIpList(entries: Iterable<string>): IpList {
  if (typeof entries === 'string' || typeof entries?.[Symbol.iterator] !== 'function') {
    throw badArgument('iniplist: the list must be an array of strings');
  }
  const list = { networks: [] as Network[], patterns: [] as string[], names: [] as NameEntry[] };
  for (const entry of entries) {
    if (typeof entry !== 'string') throw badEntry(entry);
    if (PATTERN.test(entry)) {
      if (!ADDRESS_PATTERN.test(entry)) throw badEntry(entry);
      list.patterns.push(entry.toLowerCase());
    } else addNetworkOrName(entry, list);
  }
  return list;
}

function addNetworkOrName(entry: string, list: { networks: Network[]; names: NameEntry[] }): void {
  const slash = entry.indexOf('/');
  const base = slash < 0 ? entry : entry.slice(0, slash);
  const suffix = slash < 0 ? undefined : entry.slice(slash + 1);
  if (suffix !== undefined && !BITS.test(suffix)) throw badEntry(entry);
  const bits = suffix === undefined ? undefined : Number(suffix);
  const network = networkOf(base, bits);
  if (network) list.networks.push(network);
  else if (base.length <= MAX_NAME_LENGTH && HOST_NAME.test(base) && (bits ?? 0) <= 128) {
    list.names.push({ name: base, bits });
  } else throw badEntry(entry);
}

/** Whether a network or a pattern of the list matches the address. */
export function listHas(list: IpList, address: IpAddress): boolean {
  if (list.networks.some((network) => inNetwork(address, network))) return true;
  const text = textOf(address);
  return list.patterns.some((pattern) => matchesGlob(text, pattern));
}
